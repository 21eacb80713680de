"""Figures of lecture 09: gradients by binade, errors by draws, seeds that diverge."""
