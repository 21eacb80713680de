"""Never end a cell.

Stock nbgrader: not tried. Here: stopped, 0.
"""

while True:
    pass
