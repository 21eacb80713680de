"""Hand in a folder by the name of the notebook.

Stock nbgrader: fails: no grade. Here: rejected, 0.
"""


def hand_in(folder, notebook):
    (folder / "hw_formats.ipynb").mkdir()
