"""Hand in a folder by the name of the notebook.

Stock nbgrader: stops the class. Here: rejected, 0.
"""


def hand_in(folder, notebook):
    (folder / "hw_formats.ipynb").mkdir()
