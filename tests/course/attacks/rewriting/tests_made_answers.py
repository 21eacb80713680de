"""Say that the test cells are answers, so that their text is the student's.

Stock nbgrader: not tried. Here: graded, 0.
"""


def hand_in(folder, notebook):
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade"):
            cell["metadata"]["nbgrader"] |= {"solution": True, "locked": False}
            cell["source"] = "1.0"
    return notebook
