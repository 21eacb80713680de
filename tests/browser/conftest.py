"""A real browser and real servers; a screenshot stays where a test fails."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import programs
import pytest
from pages import SECOND, Lab
from playwright.sync_api import sync_playwright

FAILURES = Path(__file__).parent / "failures"
PATIENCE_S = 1800  # for a program on a busy machine: only what hangs is to be stopped
# A page of this machine's own: no sandbox (root has none), nothing fetched behind it.
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    page = getattr(item, "funcargs", {}).get("page")
    if page and report.when == "call" and report.failed:
        FAILURES.mkdir(exist_ok=True)
        page.screenshot(path=FAILURES / f"{item.name}.png", full_page=True)
    return report


@pytest.fixture(scope="module")
def browser():
    path = programs.find(programs.CHROMIUM)
    if path is None and os.environ.get("CI") != "true":
        pytest.skip(programs.complaint(programs.CHROMIUM))
    assert path, programs.complaint(programs.CHROMIUM)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(120 * SECOND)
    yield page
    context.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The settings of a person who has none yet."""
    home = tmp_path_factory.mktemp("home")
    kept = {key: value for key, value in os.environ.items() if "JUPYTER" not in key}
    return kept | {"HOME": str(home), "XDG_DATA_HOME": str(home / "share")}


@pytest.fixture
def make(checkout, home):
    """`make VERB` in the copy, with the environment that runs these tests."""

    def command(*arguments: str) -> list[str]:
        here = ["environment=:", f"PYTHON={sys.executable}", f"VENV={sys.prefix}"]
        return ["make", *arguments, *here]

    def run(*arguments: str) -> str:
        done = subprocess.run(
            command(*arguments),
            cwd=checkout,
            env=home,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextlib.contextmanager
    def serve(verb: str, page) -> Iterator[Lab]:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        server = subprocess.Popen(
            command(verb, f"PORT={port}", "BROWSER=none"),
            cwd=checkout,
            env=home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield Lab(page, address_of(server), checkout)
        finally:
            close(server)

    run.serve = serve
    return run


def close(server: subprocess.Popen) -> None:
    """Press Ctrl-C, and wait until all is closed."""
    os.killpg(server.pid, signal.SIGINT)
    server.communicate(timeout=PATIENCE_S)


def address_of(server: subprocess.Popen) -> str:
    """The address that `make lab` prints."""
    said = []
    for line in server.stdout:
        said.append(line)
        if found := re.search(r"The course is open at (\S+)", line):
            return found[1]
    raise AssertionError("".join(said))
