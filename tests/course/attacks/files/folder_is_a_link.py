"""Hand in a link to another student's folder.

Stock nbgrader: theirs is graded as one's own. Here: rejected, 0.
"""

import os


def hand_in(folder, notebook):
    folder.rmdir()
    os.symlink(folder.parents[1] / "bystander" / "hw_formats", folder)
