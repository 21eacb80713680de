"""What a long step is doing, in one living line, or in plain lines without a terminal.

    3:10  installing 34 of 121 packages

Read in order: `Line`, `Pip`.  Run by the system's own Python: standard library only.
"""

import re
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

TICK_S = 1.0  # on a terminal the line is written anew each second
PLAIN_S = 15.0  # and into a file or a pipe, a line is added each quarter of a minute


class Line:
    """While its `with` runs, tell the time and what `doing()` says."""

    def __init__(self, doing: Callable[[], str]):
        self.doing, self.began, self.over = doing, time.monotonic(), threading.Event()
        self.terminal = sys.stdout.isatty()
        self.teller = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> "Line":
        self.teller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.teller.join()
        if self.terminal:
            print("\r\x1b[K", end="", flush=True)

    def _tell(self) -> None:
        while not self.over.wait(TICK_S if self.terminal else PLAIN_S):
            seconds = int(time.monotonic() - self.began)
            line = f"  {seconds // 60}:{seconds % 60:02d}  {self.doing()}"
            if self.terminal:
                width = shutil.get_terminal_size().columns - 1
                print(f"\r\x1b[K{line[:width]}", end="", flush=True)
            else:
                print(line, flush=True)


class Pip:
    """What pip is doing, from its own lines and from what it has put into `venv`."""

    def __init__(self, venv: Path):
        self.venv, self.found, self.total = venv, 0, 0
        self.doing, self.before = "asking the package index", self._installed()

    def hear(self, line: str) -> None:
        """Take in a line of pip's."""
        if found := re.match(r"\s*(Collecting|Processing) ([^\s;<>=!~\[]+)", line):
            self.found += 1
            self.doing = f"package {self.found}: finding {name_of(found[2])}"
        elif found := re.match(r"\s*Downloading (\S+)(?: (\(.*\)))?", line):
            size = f" {found[2]}" if found[2] else ""
            self.doing = f"package {self.found}: fetching {name_of(found[1])}{size}"
        elif found := re.match(r"\s*Installing collected packages: (.*)", line):
            self.total = len(found[1].split(","))

    def says(self) -> str:
        """What it does now."""
        if not self.total:
            return self.doing
        done = min(self._installed() - self.before, self.total)
        return f"installing {max(done, 0)} of {self.total} packages"

    def _installed(self) -> int:
        return sum(1 for _ in self.venv.glob("lib/python*/site-packages/*.dist-info"))


def name_of(package: str) -> str:
    """`torch` of torch-2.11.0-cp311-….whl, of a path or an address that ends so."""
    name = package.rstrip("/").rsplit("/", 1)[-1]
    return re.split(r"-\d", name)[0]


def minutes(seconds: float) -> str:
    """A time in words."""
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"
