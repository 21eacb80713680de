"""Hand in a pipe that nobody writes to.

Stock nbgrader: not tried. Here: rejected, 0.
"""

import os


def hand_in(folder, notebook):
    os.mkfifo(folder / "hw_formats.ipynb")
    os.mkfifo(folder / "timestamp.txt")
