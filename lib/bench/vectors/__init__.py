"""Two bits by vectors: what each code leaves of N(0, 1), and of SmolLM2."""
