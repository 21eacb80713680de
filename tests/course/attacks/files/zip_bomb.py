"""Hand in a bomb: 2 MB that are 2 GB when unpacked.

Stock nbgrader: fails: no grade. Here: rejected, 0.
"""

import zipfile


def hand_in(folder, notebook):
    with zipfile.ZipFile(
        folder / "hw_formats.ipynb", "w", zipfile.ZIP_DEFLATED
    ) as archive:
        archive.writestr("hw_formats.ipynb", bytes(64 << 20))
