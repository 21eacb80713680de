"""Small experiments behind single sentences of lectures 03, 05 and 06."""
