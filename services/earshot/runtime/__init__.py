"""The machinery of a service; it knows no model."""
