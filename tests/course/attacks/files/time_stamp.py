"""Claim to have handed in in a year that no calendar has.

Stock nbgrader: fails: no grade. Here: graded, 0.
"""

import json


def hand_in(folder, notebook):
    (folder / "hw_formats.ipynb").write_text(json.dumps(notebook))
    (folder / "timestamp.txt").write_text("0001-01-01 00:00:00+14:00")
