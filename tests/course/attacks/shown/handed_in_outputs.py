"""Hand in outputs that were never shown: script, and full marks.

Stock nbgrader: not tried. Here: graded, 0.
"""


def hand_in(folder, notebook):
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            data = {"text/html": "<script>alert(1)</script>", "text/plain": "100.0"}
            kinds = {"metadata": {}, "execution_count": 1, "data": data}
            cell["outputs"] = [{"output_type": "execute_result", **kinds}]
    return notebook
