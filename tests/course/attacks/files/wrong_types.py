"""Put numbers, lists and nulls wherever a notebook has words and cells.

Stock nbgrader: fails: no grade. Here: graded, 0.
"""


def hand_in(folder, notebook):
    for number, cell in enumerate(notebook["cells"]):
        cell["source"] = [None, 7, ["x"], {}][number % 4]
        cell["metadata"] = {"nbgrader": [7, {"grade_id": ["test_decode"]}][number % 2]}
        cell["id"] = number
    notebook["cells"] += [None, 7, [], {"cell_type": []}]
    return notebook
