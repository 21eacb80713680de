"""Swap the file for a link to the solution, again and again, while it is read.

Stock nbgrader: not tried. Here: any, 0.
"""

import contextlib
import json
import os
import threading


def hand_in(folder, notebook):
    source = next(folder.parents[2].glob("source/*/*.ipynb"))
    path, link, plain = (folder / n for n in ("hw_formats.ipynb", "link", "plain"))
    plain.write_text(json.dumps(notebook))
    os.link(plain, path)

    def swap():
        with contextlib.suppress(OSError):  # until all is cleared away
            for number in range(3000):
                link.unlink(missing_ok=True)
                os.symlink(source, link) if number % 2 else os.link(plain, link)
                os.replace(link, path)

    threading.Thread(target=swap).start()
