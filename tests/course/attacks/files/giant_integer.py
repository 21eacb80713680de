"""Write an integer of a million digits, which takes Python minutes to read.

Stock nbgrader: not tried. Here: rejected, 0.
"""

import json


def hand_in(folder, notebook):
    text = json.dumps(notebook).replace(
        '"nbformat_minor": 5', f'"nbformat_minor": {"9" * 10**6}'
    )
    (folder / "hw_formats.ipynb").write_text(text)
