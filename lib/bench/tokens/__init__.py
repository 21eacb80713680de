"""Tokens a second of a whole model: its shape, its formats, the steps, the table."""
