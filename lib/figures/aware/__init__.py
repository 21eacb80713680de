"""Figures of lecture 08."""
