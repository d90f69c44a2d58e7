"""Calls at a concurrency or at a rate, and what came of them: behind ``earshot bench`` and the benchmarks."""
