"""Show hundreds of pictures.

Stock nbgrader: not tried. Here: graded, 0.
"""

import base64

from IPython.display import Image, display

start = base64.b64decode("iVBORw0KGgo=")
for _ in range(200):
    display(Image(data=start + bytes(500_000), format="png", width=1, height=1))
