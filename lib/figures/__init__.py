"""Figures that lectures share, drawn by matplotlib; `theme` gives them one look."""
