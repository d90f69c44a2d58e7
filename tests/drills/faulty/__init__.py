"""The service as it is, but for an engine that has a fault in it: certain clips bring it out."""
