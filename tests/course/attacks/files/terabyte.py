"""Hand in a file of a terabyte that takes no space.

Stock nbgrader: not tried. Here: rejected, 0.
"""

import os


def hand_in(folder, notebook):
    with (folder / "hw_formats.ipynb").open("wb") as stream:
        os.truncate(stream.fileno(), 1 << 40)
