"""Name the places where feedback keeps its formulas, and write too many of them.

Stock nbgrader: not tried. Here: graded, 0.
"""


def hand_in(folder, notebook):
    for text in ("\ue0009\ue000 zzformula7zz", "$x$ " * 9000, "$" * 9999, "[" * 9999):
        cell = {"cell_type": "markdown", "source": text, "metadata": {}}
        notebook["cells"].append(cell)
    return notebook
