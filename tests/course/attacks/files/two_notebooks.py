"""Hand in two notebooks, one under a name that is a path and markup.

Stock nbgrader: fails: no grade. Here: graded, 0.
"""

import json


def hand_in(folder, notebook):
    for name in ("..`<script>alert(1)<\\script>`.ipynb", "b.ipynb"):
        (folder / name).write_text(json.dumps(notebook))
