"""Figures of lecture 13: `distillation`, and a live `slider`."""
