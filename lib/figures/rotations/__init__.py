"""Lecture 07's drawings: `channels`, turned, and `codes` of many numbers."""
