"""Rounds w / s + z at once: from half-way it goes elsewhere where z is odd."""

LOSES = ["test_grid"]
PATCHES = {"to_grid": {"(w / scale).round() + zero": "(w / scale + zero).round()"}}
