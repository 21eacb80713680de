"""Hand in a device that has no end, or where one may not, a socket.

Stock nbgrader: not tried. Here: rejected, 0.
"""

import os
import socket


def hand_in(folder, notebook):
    path = folder / "hw_formats.ipynb"
    try:
        os.mknod(path, 0o20666, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        with socket.socket(socket.AF_UNIX) as mine:
            mine.bind(str(path))
