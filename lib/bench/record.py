"""Keep a measurement beside everything that a reader needs to trust or repeat it.

    run = Run.from_checkout("codebooks", "python -m lib.bench codebooks")
    record(run, {"fp32_perplexity": 29.0}, protocol=str(p))
    recall("codebooks").results["fp32_perplexity"]

A file in `results` names the commit that made it, and that commit must hold the code
that ran: `lib` may have no uncommitted change, the table of tiles included.

Read in order: `Measurement`, `Run`, `record`, `recall`.
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

LIB = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
SEED = 0  # of torch's generators, when a benchmark begins
VERSIONED = ("torch", "transformers", "numpy")
VERSIONED_IF_INSTALLED = ("triton", "bitsandbytes", "torchao")


@dataclass(frozen=True)
class Measurement:
    """What was measured, how, where, with what, by which command and which code."""

    name: str
    results: dict[str, Any]  # whatever JSON holds; say units in the keys
    protocol: str  # how it was measured, in words
    device: str
    versions: dict[str, str]
    commit: str  # a trailing + says that `lib` had uncommitted changes
    date: str  # UTC
    command: str = ""  # a line for a shell; its comment says what is not known of it
    seed: int | None = None  # of torch's generators; a row may name others

    def provenance(self) -> str:
        """One line for a caption: the device, torch's version, the commit, the day."""
        return (
            f"{self.device}, torch {self.versions['torch']}, "
            f"commit {self.commit}, {self.date}"
        )


@dataclass(frozen=True)
class Run:
    """One run of one command: what every file that it writes says of it."""

    name: str  # of the file, without .json
    command: str
    commit: str
    folder: Path = RESULTS

    def __post_init__(self) -> None:
        """Refuse a name that is no plain word."""
        if not re.fullmatch(r"[a-z0-9][a-z0-9_]*", self.name):
            raise ValueError(
                f"name={self.name!r} must be lower-case letters, digits and _"
            )

    @classmethod
    def from_checkout(
        cls,
        name: str,
        command: str,
        *,
        commit: str | None = None,
        folder: Path = RESULTS,
    ) -> "Run":
        """A run by the code as it is now: ask before measuring, not after.

        `commit` is for copies of the code that git does not know, and recorded as
        "1a2b3c4 (given)". A run into `RESULTS` needs a commit that holds its code.

        Raises ValueError there for uncommitted changes to a tracked file of `lib`, for
        a `commit` where git knows better, and for none where git knows nothing; and
        everywhere for a name that is no plain word.
        """
        known = commit_here()
        if folder.resolve() == RESULTS.resolve():
            _refuse_unless_clean(known, commit)
        return cls(name, command, f"{commit} (given)" if commit else known, folder)


def _refuse_unless_clean(known: str, given: str | None) -> None:
    """Raise ValueError unless one commit holds the code that runs."""
    if known == "unknown":
        if not given:
            raise ValueError("git does not know this copy: say --commit, or --out")
    elif given:
        raise ValueError(f"--commit {given}: git knows this copy, and says {known}")
    elif known.endswith("+"):
        raise ValueError(
            f"lib has uncommitted changes ({', '.join(changed_files())}): commit them, "
            "or write into another folder with --out"
        )


def record(
    run: Run, results: dict[str, Any], *, protocol: str, device: str | None = None
) -> Path:
    """Write the run's file in one step and return its path.

    `device` is for a measurement on the processor of a machine that has a GPU; else
    `device_name` says it. Raises ValueError for NaN or infinity.
    """
    measurement = Measurement(
        name=run.name,
        results=results,
        protocol=protocol,
        device=device or device_name(),
        versions=_versions(),
        commit=run.commit,
        date=datetime.now(UTC).date().isoformat(),
        command=run.command,
        seed=SEED,
    )
    text = json.dumps(asdict(measurement), indent=1, allow_nan=False)
    run.folder.mkdir(parents=True, exist_ok=True)
    path = run.folder / f"{run.name}.json"
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(text + "\n")
    draft.replace(path)
    return path


def recall(name: str, *, folder: Path = RESULTS) -> Measurement:
    """Read back what `record` wrote.

    Raises ValueError, which lists what there is, if there is no `name`.
    """
    path = folder / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.json"))) or "none"
        raise ValueError(f"no measurement named {name!r}; there are: {known}")
    return Measurement(**json.loads(path.read_text()))


def device_name() -> str:
    """The GPU's name where torch sees one, else the processor's and torch's threads."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return processor_name()


def processor_name() -> str:
    """The processor's model as Linux or Python tells it, and torch's threads."""
    cpuinfo, model = Path("/proc/cpuinfo"), None
    if cpuinfo.is_file():
        model = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.M)
    name = model[1].strip() if model else platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} threads"


def _versions() -> dict[str, str]:
    """Of what every measurement rests on, and of what some rest on, if it is there."""
    versions = {package: version(package) for package in VERSIONED}
    for package in VERSIONED_IF_INSTALLED:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


def commit_here() -> str:
    """The checkout's short commit, or `unknown` where git does not track this file.

    A trailing + says that `lib` has uncommitted changes.
    """
    try:
        _git(
            "ls-files", "--error-unmatch", "--", Path(__file__).name, at=RESULTS.parent
        )
        return _git("rev-parse", "--short", "HEAD") + ("+" if changed_files() else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def changed_files() -> list[str]:
    """Tracked files of `lib` with uncommitted changes, but for results.

    A run's own file changes with its first row, and no measurement reads another's.
    """
    status = _git("status", "--porcelain", "--untracked-files=no", "--", ".")
    paths = [line.strip().split(maxsplit=1)[1] for line in status.splitlines()]
    return [path for path in paths if "lib/bench/results/" not in path]


def _git(*arguments: str, at: Path = LIB) -> str:
    """What git prints, asked from a folder of the checkout."""
    return subprocess.run(
        ["git", *arguments], cwd=at, capture_output=True, text=True, check=True
    ).stdout.strip()
