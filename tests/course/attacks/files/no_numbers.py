"""Write NaN, Infinity and an integer of 4000 digits where a notebook has numbers.

Stock nbgrader: fails: no grade. Here: graded, 0.
"""


def hand_in(folder, notebook):
    notebook["nbformat_minor"] = int("9" * 4000)
    for cell in notebook["cells"]:
        cell["execution_count"] = float("nan")
        cell["metadata"].setdefault("nbgrader", {})["points"] = float("inf")
    return notebook
