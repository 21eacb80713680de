"""Say things twice, so that two readers read two things.

Stock nbgrader: 0 of 11. Here: rejected, 0.
"""

import json


def hand_in(folder, notebook):
    text = json.dumps(notebook).replace(
        '"cell_type": "code"', '"cell_type": "code", "cell_type": "markdown"'
    )
    (folder / "hw_formats.ipynb").write_text(text)
