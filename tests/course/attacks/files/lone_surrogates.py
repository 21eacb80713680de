"""Write characters that no file can hold, in sources, names and messages.

Stock nbgrader: fails: no grade. Here: graded, 0.
"""


def hand_in(folder, notebook):
    for cell in notebook["cells"]:
        if cell.get("id") == "decode":
            cell["source"] = "def decode(*a):\n    raise ValueError('\ud800\\ud800')"
    notebook["cells"].append(
        {"cell_type": "markdown", "source": "\udfff\u0000", "metadata": {}}
    )
    return notebook
