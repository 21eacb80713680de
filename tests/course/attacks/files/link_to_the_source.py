"""Hand in a link to the solution.

Stock nbgrader: 11 of 11. Here: rejected, 0.
"""

import os


def hand_in(folder, notebook):
    source = next(folder.parents[2].glob("source/*/*.ipynb"))
    os.symlink(source, folder / "hw_formats.ipynb")
