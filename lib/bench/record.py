"""Keep a measurement beside everything that a reader needs to trust or repeat it.

    record("hamlet_rtn", {"bits": [4, 3], "perplexity": [36.0, 80.5]}, protocol=str(p))
    recall("hamlet_rtn").results["perplexity"]

Read in order: `Measurement`, `record`, `recall`.
"""

import json
import os
import platform
import re
import subprocess
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"
VERSIONED = ("torch", "transformers", "numpy")
WHERE_INSTALLED = ("triton", "bitsandbytes", "torchao")


@dataclass(frozen=True)
class Measurement:
    """What was measured, how, where, with what, and by which state of the code."""

    name: str
    results: dict[str, Any]  # whatever JSON holds; say units in the keys
    protocol: str  # how it was measured, in words
    device: str
    versions: dict[str, str]
    commit: str  # a trailing + says that `lib` had uncommitted changes
    date: str  # UTC

    def provenance(self) -> str:
        """One line for a caption: the device, torch's version, the commit, the day."""
        return (
            f"{self.device}, torch {self.versions['torch']}, "
            f"commit {self.commit}, {self.date}"
        )


def record(
    name: str,
    results: dict[str, Any],
    *,
    protocol: str,
    commit: str | None = None,
    folder: Path = RESULTS,
) -> Path:
    """Write `folder`/`name`.json in one step and return its path.

    `commit` is for copies of the code that git does not know; else git says it. Raises
    ValueError for a name that is no plain word, and for NaN or infinity.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_]*", name):
        raise ValueError(f"name={name!r} must be lower-case letters, digits and _")
    measurement = Measurement(
        name=name,
        results=results,
        protocol=protocol,
        device=device_name(),
        versions=_versions(),
        commit=commit or commit_here(),
        date=datetime.now(UTC).date().isoformat(),
    )
    text = json.dumps(asdict(measurement), indent=1, allow_nan=False)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(text + "\n")
    draft.replace(path)
    return path


def recall(name: str, *, folder: Path = RESULTS) -> Measurement:
    """Read back what `record` wrote; ValueError lists what there is, if not `name`."""
    path = folder / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.json"))) or "none"
        raise ValueError(f"no measurement named {name!r}; there are: {known}")
    return Measurement(**json.loads(path.read_text()))


def device_name() -> str:
    """The GPU's name where torch sees one, else the processor's and torch's threads."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{_processor()}, {torch.get_num_threads()} threads"


def _versions() -> dict[str, str]:
    """Of what every measurement rests on, and of what some rest on, if it is there."""
    versions = {package: version(package) for package in VERSIONED}
    for package in WHERE_INSTALLED:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


def _processor() -> str:
    """The processor's model as Linux tells it, else what Python knows of it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.M)
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()


def commit_here() -> str:
    """The checkout's short commit, or `unknown` outside a checkout."""
    try:
        head = _git("rev-parse", "--short", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--", "*.py") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    """What git prints, asked from the folder of `lib`."""
    return subprocess.run(
        ["git", *arguments],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
