"""The figures of lectures 14 (`serving`) and 15 (`speculative`)."""
