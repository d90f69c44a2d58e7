"""What is watched: rules, alerts and dashboards, made into files by ``charts/generate.py``."""
