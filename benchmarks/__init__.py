"""Measurements, as ratios within one run. Run with ``python -m benchmarks.<name>`` from the repository."""
