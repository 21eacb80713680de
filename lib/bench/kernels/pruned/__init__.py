"""Benchmarks of pruned matrices: how they are made, stored and multiplied."""
