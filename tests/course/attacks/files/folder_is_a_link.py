"""Hand in a link to another student's folder.

Stock nbgrader: 11 of 11. Here: rejected, 0.
"""

import os


def hand_in(folder, notebook):
    folder.rmdir()
    os.symlink(folder.parents[1] / "bystander" / "hw_formats", folder)
