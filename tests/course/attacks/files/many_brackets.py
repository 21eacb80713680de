"""Hand in 30 MB of brackets, which are gigabytes once they are read.

Stock nbgrader: not tried. Here: rejected, 0.
"""


def hand_in(folder, notebook):
    text = '{"cells": [' + "[]," * 10_000_000 + "[]]}"
    (folder / "hw_formats.ipynb").write_text(text)
