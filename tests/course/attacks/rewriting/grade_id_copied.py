"""Copy a test, with its grade_id, and let the copy pass.

Stock nbgrader: fails: no grade. Here: graded, 0.
"""

import copy


def hand_in(folder, notebook):
    tests = [
        c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("grade")
    ]
    for test in copy.deepcopy(tests):
        notebook["cells"].append({**test, "source": "100.0", "id": f"{test['id']}-2"})
    return notebook
