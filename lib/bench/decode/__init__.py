"""Tokens a second of lib/decode/graph.py: the table, and where the time goes."""
