"""How fast Earshot is, beside what else one could use: ``python -m benchmarks --help``."""
