"""Say things twice, so that two readers read two things.

Stock nbgrader: grades what the second says. Here: rejected, 0.
"""

import json


def hand_in(folder, notebook):
    text = json.dumps(notebook).replace(
        '"cell_type": "code"', '"cell_type": "code", "cell_type": "markdown"'
    )
    (folder / "hw_formats.ipynb").write_text(text)
