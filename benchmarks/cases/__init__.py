"""What is measured: for each benchmark a module of its name, with ``measure(scale) -> Report``."""
