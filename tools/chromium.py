"""Find a Chromium for the browser tests, or install Debian's where that can be done.

    python tools/chromium.py      prints nothing where there is one

Standard library only; the tests import `find`.
"""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = (
    "No Chromium: the browser tests will be skipped. To run them, install Chromium "
    "(Debian and Ubuntu: apt-get install chromium), or name one with CHROMIUM=/path"
)
INSTALL_S = 600  # seconds for Debian's packages to arrive


def find() -> str | None:
    """The path of a Chromium: CHROMIUM's, else the first on PATH."""
    chosen = os.environ.get("CHROMIUM")
    return (
        shutil.which(chosen)
        if chosen
        else next(filter(None, map(shutil.which, NAMES)), None)
    )


def install() -> bool:
    """Install Debian's Chromium; say whether it came."""
    print("Installing Chromium for the browser tests.", flush=True)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    settings = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["update"],
        ["install", "-y", "--no-install-recommends", "chromium"],
    ):
        subprocess.run(
            ["apt-get", "-q", *command], env=settings, timeout=INSTALL_S, **quiet
        )
    return find() is not None


def main() -> None:
    """Make sure of a Chromium, or say that there is none; on CI that is an error."""
    if find():
        return
    if os.geteuid() == 0 and shutil.which("apt-get") and install():
        return
    sys.exit(MISSING) if os.environ.get("CI") == "true" else print(MISSING)


if __name__ == "__main__":
    main()
