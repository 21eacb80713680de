"""Let the time of handing in be read from another file, or from a pipe.

Stock nbgrader: not tried. Here: graded, 0.
"""

import json
import os


def hand_in(folder, notebook):
    (folder / "hw_formats.ipynb").write_text(json.dumps(notebook))
    os.symlink("/dev/zero", folder / "timestamp.txt")
