"""Hand in sources that are hard to parse: deep, long, and half-open.

Stock nbgrader: 0 of 11. Here: graded, 0.
"""

SOURCES = ["(" * 9999, "-" * 9999 + "1", "a" + ".b" * 2000, "lambda:" * 999, "x" * 9999]


def hand_in(folder, notebook):
    for source in SOURCES:
        cell = {"cell_type": "code", "source": source, "metadata": {}, "outputs": []}
        notebook["cells"].append(cell)
    notebook["cells"] = [c for c in notebook["cells"] if c.get("id") != "decode"]
    return notebook
