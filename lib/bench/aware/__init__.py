"""Long experiments of lecture 08."""
