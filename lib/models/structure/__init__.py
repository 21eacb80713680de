"""A model's parts: gates on them, and the knife.

Read in order: `gates` (turn parts down, and watch them), `surgery` (cut them out).
"""
