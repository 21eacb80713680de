"""Become somebody else: by setuid, by a setuid program, by a capability.

Stock nbgrader: not tried. Here: graded, 0.
"""

import contextlib
import os
import subprocess

for act in (
    lambda: os.setuid(0),
    lambda: os.setgroups([0]),
    lambda: os.chroot("/tmp"),
    lambda: os.mknod("/tmp/disk", 0o60666, os.makedev(8, 0)),
    lambda: subprocess.run(["su", "-c", "true"], check=True, stdin=-3),
    lambda: os.chmod("/usr/bin/env", 0o777),
):
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        act()
        print("it worked")
