"""Put a numpy.py and a torch.py of one's own before the real ones.

Stock nbgrader: 0 of 11; the next student's 11 became 11 of 11. Here: graded, 0.
"""

import os
import sys

for name in ("numpy", "torch", "math", "lib"):
    with open(f"{name}.py", "w") as stream:
        stream.write("def __getattr__(name):\n    return lambda *a, **k: True\n")
    sys.modules.pop(name, None)
sys.path.insert(0, os.getcwd())
