"""The services as they are, but for workers that have faults in them: certain input brings them out."""
