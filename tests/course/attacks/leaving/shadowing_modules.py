"""Put a numpy.py and a torch.py of one's own before the real ones.

Stock nbgrader: the tests import them. Here: graded, 0.
"""

import os
import sys

for name in ("numpy", "torch", "math", "lib"):
    with open(f"{name}.py", "w") as stream:
        stream.write("def __getattr__(name):\n    return lambda *a, **k: True\n")
    sys.modules.pop(name, None)
sys.path.insert(0, os.getcwd())
