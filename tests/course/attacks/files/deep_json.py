"""Hand in JSON that is nested 100 000 deep.

Stock nbgrader: not tried. Here: rejected, 0.
"""


def hand_in(folder, notebook):
    text = '{"cells":' * 100_000 + "1" + "}" * 100_000
    (folder / "hw_formats.ipynb").write_text(text)
