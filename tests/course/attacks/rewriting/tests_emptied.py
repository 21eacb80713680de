"""Hand in test cells that test nothing.

Stock nbgrader: not tried. Here: graded, 0.
"""


def hand_in(folder, notebook):
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade"):
            cell["source"] = "pass"
    return notebook
