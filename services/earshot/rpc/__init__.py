"""The edge between our own types and gRPC's."""
