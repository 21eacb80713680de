"""Open JupyterLab on the course, as a student or as the instructor.

    python tools/lab.py [--port 8888] [--role instructor] [--headless] [jupyter's flags]

The instructor has nbgrader's Formgrader; a student has only its Validate button.
Read in order: `main`, `check_port`, `serve`, `Server`, `why_ended`.
"""

import argparse
import errno
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from itertools import chain
from pathlib import Path

import homework
import lab_settings

ROOT = Path(__file__).resolve().parents[1]
FIRST_PAGE = "lab/tree/README.md"  # the map of the course, rendered
START_S = 90.0  # a server that shows no sign of life by then has failed
PATIENCE_S = 6.0  # a server that has not closed by then will not
LAST_PORT = 65535


def main() -> None:
    """Prepare the homework, then serve until Ctrl-C."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", default="8888")
    parser.add_argument("--role", choices=["student", "instructor"], default="student")
    parser.add_argument("--headless", action="store_true", help="open no browser")
    arguments, flags = parser.parse_known_args()
    if arguments.headless:
        flags.append("--no-browser")
    if "$" in str(ROOT) or os.pathsep in str(ROOT):
        sys.exit(f"Jupyter can't work below {ROOT}: rename the folder without $ or :")
    port = check_port(arguments.port)
    try:
        homework.brought_up_to_date(gradebook=arguments.role == "instructor")
        for line in homework.start():
            print(line)
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. The same command, run again, goes on from here.")
    except ValueError as why:  # the syllabus
        sys.exit(str(why))
    except OSError as error:
        sys.exit(f"The homework can't be laid out: {error.strerror} ({error.filename})")
    sys.exit(serve(port, arguments.role, flags, began))


# The port


def check_port(port: str) -> int:
    """The number that `port` says; exit with a free one's where it can't be had."""
    if not (port.isdecimal() and 0 < int(port) <= LAST_PORT):
        sys.exit(f"PORT={port} is no port: it is a number from 1 to {LAST_PORT}")
    why = refusal(int(port))
    if why is not None:
        sys.exit(f"Port {port} is {why}: run it with PORT={free_port(int(port))}")
    return int(port)


def free_port(beside: int) -> int:
    """The first free port after `beside`, or after Jupyter's own."""
    return next(filter(is_free, chain(range(beside + 1, LAST_PORT), range(8888, 9999))))


def is_free(port: int) -> bool:
    """Whether this machine's own addresses take a listener at `port`."""
    return refusal(port) is None


def refusal(port: int) -> str | None:
    """Why this machine's own addresses take no listener at `port`; None if they do."""
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "in use"
            if error.errno == errno.EACCES:
                return "the system's own"
    return None


# The server


def serve(port: int, role: str, flags: list[str], began: float) -> int:
    """Run JupyterLab, print its address once it listens, return its exit status."""
    command = [
        *(sys.executable, "-m", "jupyterlab"),
        f"--ServerApp.root_dir={ROOT}",
        f"--ServerApp.port={port}",
        f"--LabApp.default_url=/{FIRST_PAGE}",
        *(["--allow-root"] if os.geteuid() == 0 else []),
        *flags,
    ]
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    if (folder := lab_settings.unwritable()) is not None:
        print(
            f"{folder} can't be written to: what JupyterLab keeps there, as its "
            "layout, is forgotten when it closes. HOME=/a/folder/of/yours keeps it."
        )
    print("Starting JupyterLab.", flush=True)
    with tempfile.TemporaryDirectory(
        prefix="jupyterlab-", ignore_cleanup_errors=True
    ) as scratch:
        settings = {"JUPYTER_TOKEN": secrets.token_hex(24)}
        settings |= lab_settings.settings(role, Path(scratch))
        server = Server(command, settings)
        try:
            address = server.wait_for_address()
            if address is None:
                print(server.obituary(), file=sys.stderr)
                return server.close() or 1
            print(f"The course is open at {address}")
            passed = time.monotonic() - began
            print(f"(after {passed:.1f} s; Ctrl-C closes it)", flush=True)
            return server.follow()
        except KeyboardInterrupt:
            print("\nClosing.", flush=True)
            return server.close()


class Server:
    """JupyterLab, as a child. What it says is held back until it is open."""

    def __init__(self, command: list[str], settings: dict[str, str]):
        # In a session of its own: Ctrl-C reaches only this program, which closes it.
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=settings,
            start_new_session=True,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        runtime = Path(settings["JUPYTER_RUNTIME_DIR"])
        self.info = runtime / f"jpserver-{self.process.pid}.json"
        self.said: deque[str] = deque(maxlen=1000)
        self.open = threading.Event()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _listen(self) -> None:
        for line in self.process.stderr or ():
            self.said.append(line)
            if self.open.is_set():
                print(line, end="", file=sys.stderr, flush=True)

    def wait_for_address(self) -> str | None:
        """The address with its token; None where it ended, or took too long."""
        deadline = time.monotonic() + START_S
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                facts = json.loads(self.info.read_text(encoding="utf-8"))
                if facts["port"]:  # the file comes before the server listens
                    place = facts["hostname"], facts["port"]
                    socket.create_connection(place, timeout=1).close()
            except (OSError, json.JSONDecodeError):
                time.sleep(0.1)
                continue
            token = f"?token={facts['token']}" if facts["token"] else ""
            return f"{facts['url']}{FIRST_PAGE}{token}"
        return None

    def follow(self) -> int:
        """Pass on what it says until it ends; its exit status."""
        print(*self.said, sep="", end="", file=sys.stderr, flush=True)
        self.open.set()
        status = self.process.wait()
        if status:
            print(self.obituary(), file=sys.stderr)
        return status

    def obituary(self) -> str:
        """What there is to tell of a server that ended, or that never began."""
        if self.process.poll() is None:
            return f"JupyterLab did not start within {START_S:.0f} s. {self.last()}"
        self.listener.join(PATIENCE_S)  # a child of its own may hold the pipe open
        return f"JupyterLab ended. {self.last()}"

    def last(self) -> str:
        """Its last meaningful line, with the remedy."""
        said = "".join(self.said)
        log = Path(sys.prefix) / "jupyterlab.log"
        try:
            log.write_text(said, encoding="utf-8")
        except OSError:
            return f"It said:\n{said}"
        return why_ended(said, str(log))

    def close(self) -> int:
        """Let the server save and stop its kernels; end it where it hangs in doing so.

        A kernel ends by itself once its server is gone.
        """
        self.open.clear()  # that it was asked to end is no news
        self.process.terminate()
        try:
            self.process.wait(timeout=PATIENCE_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            self.process.kill()
            self.process.wait()
        return 0


# What JupyterLab says as it ends, and what to do about it


REMEDIES = {
    r"already in use|port \d+ is not available": (
        "Another program took the port: run it with another, as PORT=8899."
    ),
    r"No module named|cannot import name|version .* not found": (
        "The environment is damaged: remove it (rm -r .venv), and run it again."
    ),
    r"Permission denied|Read-only file system|Not a directory|PermissionError": (
        "Make that folder writable, or name another home: HOME=/a/folder/of/yours"
    ),
    r"No space left|Disk quota": "The disk is full: make room, and run it again.",
    r"Bad config|config|trait": (
        "A setting that is not the course's does this: look into ARGS=, into the "
        "folders of JUPYTER_CONFIG_PATH, and into /etc/jupyter."
    ),
}


def why_ended(said: str, log: str) -> str:
    """The last line of `said` that means something, and the remedy or the `log`."""
    lines = [line.strip() for line in said.splitlines() if line.strip(" \t^~")]
    last = re.sub(r"^\[.*?\] ", "", lines[-1]) if lines else "It gave no reason."
    known = (remedy for symptom, remedy in REMEDIES.items() if re.search(symptom, last))
    return f"Its last line: {last}\n{next(known, f'All that it said: {log}')}"


if __name__ == "__main__":
    main()
