"""The whole stack on one machine, with a real Envoy."""
