"""Hand in test cells that test nothing.

Stock nbgrader: 0, for it restores them, and a false alarm for others. Here: graded, 0.
"""


def hand_in(folder, notebook):
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade"):
            cell["source"] = "pass"
    return notebook
