"""End the process while a cell is run.

Stock nbgrader: fails: no grade. Here: graded, 11 beside honest answers.
"""

import os

os._exit(0)
