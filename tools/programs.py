"""Find the programs that some tests need, or install Debian's where that can be done.

    python tools/programs.py      prints nothing where all are there

Chromium is what the browser journey drives, bubblewrap the box of the grader.  On CI a
missing one is an error; elsewhere it is said which tests are skipped.
Standard library only; the tests import `find`.
"""

import os
import shutil
import subprocess
import sys

INSTALL_S = 600  # seconds for Debian's packages to arrive
CHROMIUM = "Chromium"
NAMES = {
    CHROMIUM: ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    "bubblewrap": ("bwrap",),
}
TESTS = {CHROMIUM: "the browser tests", "bubblewrap": "the grader's tests"}


def find(program: str) -> str | None:
    """The path of `program`: of a browser, CHROMIUM's; else the first on PATH."""
    chosen = os.environ.get("CHROMIUM") if program == CHROMIUM else None
    names = (chosen,) if chosen else NAMES[program]
    return next(filter(None, map(shutil.which, names)), None)


def missing() -> list[str]:
    """The programs that are not there."""
    return [program for program in NAMES if find(program) is None]


def complaint(program: str) -> str:
    """One line that says what is skipped, and how to get the program."""
    package = program.lower()
    path = ", or name one with CHROMIUM=/path" if program == CHROMIUM else ""
    return (
        f"No {program}: {TESTS[program]} are skipped. To run them, install it "
        f"(Debian and Ubuntu: apt-get install {package}){path}."
    )


def install(programs: list[str]) -> None:
    """Ask Debian for the programs; whether they came, `missing` says."""
    print(f"Installing {' and '.join(programs)} for the tests.", flush=True)
    settings = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    packages = [program.lower() for program in programs]
    for verb in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        subprocess.run(
            ["apt-get", "-q", *verb],
            env=settings,
            timeout=INSTALL_S,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def main() -> None:
    """Make sure of every program, or say what there is not."""
    if missing() and os.geteuid() == 0 and shutil.which("apt-get"):
        install(missing())
    lines = "\n".join(complaint(program) for program in missing())
    if lines and os.environ.get("CI") == "true":
        sys.exit(lines)
    if lines:
        print(lines)


if __name__ == "__main__":
    main()
