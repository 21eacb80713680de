"""Open JupyterLab on the course, as a student or as the instructor.

    python tools/lab.py [--port 8888] [--role instructor] [--headless] [jupyter's flags]

The instructor has nbgrader's Formgrader; a student has only its Validate button.
Read in order: `main`, `check_port`, `serve`, `close`.
"""

import argparse
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import homework
from jupyter_core.paths import jupyter_runtime_dir

ROOT = Path(__file__).resolve().parents[1]
FIRST_PAGE = "lab/tree/README.md"  # the map of the course, rendered
START_S = 90.0  # a server that shows no sign of life by then has failed
PATIENCE_S = 6.0  # a server that has not closed by then will not


def main() -> None:
    """Prepare the homework, then serve until Ctrl-C."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8888)
    parser.add_argument("--role", choices=["student", "instructor"], default="student")
    parser.add_argument("--headless", action="store_true", help="open no browser")
    arguments, flags = parser.parse_known_args()
    if arguments.headless:
        flags.append("--no-browser")
    check_port(arguments.port)
    try:
        homework.release(gradebook=arguments.role == "instructor")
        for line in homework.start():
            print(line)
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. The same command, run again, goes on from here.")
    except OSError as error:
        sys.exit(f"The homework can't be laid out: {error.strerror} ({error.filename})")
    sys.exit(serve(arguments.port, arguments.role, flags, began))


def check_port(port: int) -> None:
    """Exit with a free port's number where `port` is taken."""
    if is_free(port):
        return
    other = next(filter(is_free, range(port + 1, 65536)))
    sys.exit(f"Port {port} is in use: run it with PORT={other}")


def is_free(port: int) -> bool:
    """Whether this machine's own address takes a listener at `port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


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
    settings = {"JUPYTER_TOKEN": secrets.token_hex(24)} | os.environ
    settings |= homework.activated() | config_path(role)
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    # In a session of its own: Ctrl-C reaches only this program, which closes it.
    server = subprocess.Popen(command, cwd=ROOT, env=settings, start_new_session=True)
    try:
        address = wait_for_address(server)
        if address is None:
            print(f"JupyterLab did not start within {START_S:.0f} s.", file=sys.stderr)
            return close(server) or 1
        print(f"The course is open at {address}")
        print(f"(after {time.monotonic() - began:.1f} s; Ctrl-C closes it)", flush=True)
        return server.wait()
    except KeyboardInterrupt:
        print("\nClosing.", flush=True)
        return close(server)


def close(server: subprocess.Popen) -> int:
    """Let the server save and stop its kernels; end it where it hangs in doing so.

    A kernel ends by itself once its server is gone.
    """
    server.terminate()
    try:
        server.wait(timeout=PATIENCE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        server.kill()
        server.wait()
    return 0


def config_path(role: str) -> dict[str, str]:
    """The environment in which Jupyter finds the course's settings for `role`."""
    course = ROOT / "course"
    folders = [course / "jupyter", course]
    if role == "student":
        folders.insert(0, course / "jupyter" / "student")
    inherited = os.environ.get("JUPYTER_CONFIG_PATH")
    paths = [*map(str, folders), *([inherited] if inherited else [])]
    return {"JUPYTER_CONFIG_PATH": os.pathsep.join(paths)}


def wait_for_address(server: subprocess.Popen) -> str | None:
    """The address with its token, from the file that a server writes as it listens."""
    info = Path(jupyter_runtime_dir()) / f"jpserver-{server.pid}.json"
    deadline = time.monotonic() + START_S
    while server.poll() is None and time.monotonic() < deadline:
        try:
            facts = json.loads(info.read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError):
            time.sleep(0.1)
            continue
        token = f"?token={facts['token']}" if facts["token"] else ""
        return f"{facts['url']}{FIRST_PAGE}{token}"
    return None


if __name__ == "__main__":
    main()
