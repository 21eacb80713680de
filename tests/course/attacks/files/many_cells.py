"""Hand in 100 000 cells.

Stock nbgrader: not tried. Here: rejected, 0.
"""


def hand_in(folder, notebook):
    cell = {"cell_type": "code", "source": "0", "metadata": {}, "outputs": []}
    notebook["cells"] += [cell] * 100_000
    return notebook
