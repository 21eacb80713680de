"""tools/lab.py: JupyterLab opens whatever a home holds, or says why it does not."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import lab
import lab_settings
import pytest

ROOT = Path(__file__).parents[2]


def test_a_port_in_use_is_one_line_that_names_a_free_one():
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        done = subprocess.run(
            [sys.executable, lab.__file__, "--port", str(taken), "--headless"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode != 0
        said = re.fullmatch(
            rf"Port {taken} is in use: run it with PORT=(\d+)\n", done.stderr
        )
        assert said, done.stderr
        assert lab.is_free(int(said[1]))
        assert not lab.is_free(taken)


def test_only_a_student_s_settings_hide_the_formgrader():
    paths = {
        role: lab_settings.config_path(role)["JUPYTER_CONFIG_PATH"].split(os.pathsep)
        for role in ("student", "instructor")
    }
    assert str(ROOT / "course" / "jupyter" / "student") == paths["student"][0]
    assert paths["student"][1:] == paths["instructor"]
    assert str(ROOT / "course") in paths["instructor"]


def test_the_path_to_a_person_s_own_settings_is_kept(monkeypatch):
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/mine")
    assert lab_settings.config_path("student")["JUPYTER_CONFIG_PATH"].endswith(":/mine")


def test_opening_the_lab_imports_neither_torch_nor_nbgrader():
    code = "import sys, lab; print({'torch', 'nbgrader'} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT / "tools")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "set()", done.stderr


# A person's own settings, and their home

SERVE = (
    "import lab, sys; sys.exit(lab.serve(int(sys.argv[1]), 'student', sys.argv[2:], 0))"
)
HOSTILE = {
    "jupyter_server_config.py": "c.KernelSpecManager.allowed_kernelspecs = {'julia'}\n"
    "c.ServerApp.contents_manager_class = 'nowhere.Manager'\n",
    "jupyter_lab_config.py": "raise SystemExit('from my own settings')",
    "jupyter_server_config.json": '{"ServerApp": {"open_browser": tru',
}


@contextlib.contextmanager
def served(port, *flags, **variables):
    """JupyterLab on `port`, without what `make lab` does before."""
    kept = {key: x for key, x in os.environ.items() if "JUPYTER" not in key}
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(port), "--no-browser", *flags],
        env=kept | {"PYTHONPATH": str(ROOT / "tools")} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield server
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGINT)
        server.communicate(timeout=60)


def opened(server):
    """The address that is printed, and all before it."""
    said = ""
    for line in server.stdout:
        said += line
        if found := re.search(r"The course is open at (\S+)", line):
            return found[1], said
    raise AssertionError(said + server.stderr.read())


def ask(address, path):
    base, token = address.split("/lab/tree/README.md?")
    with urllib.request.urlopen(f"{base}/{path}?{token}", timeout=60) as answer:
        return json.load(answer)


class Alive:
    """A process that has not ended."""

    def poll(self):
        return None


def test_an_address_is_told_only_once_it_is_listened_at(tmp_path, monkeypatch):
    port = a_free_port()
    server = object.__new__(lab.Server)
    server.process, server.info = Alive(), tmp_path / "jpserver-1.json"
    url = f"http://localhost:{port}/"
    facts = {"url": url, "hostname": "127.0.0.1", "port": port, "token": "t"}
    server.info.write_text(json.dumps(facts))
    monkeypatch.setattr(lab, "START_S", 0.5)
    assert server.wait_for_address() is None
    with socket.create_server(("127.0.0.1", port)):
        assert server.wait_for_address() == f"{url}lab/tree/README.md?token=t"


def a_free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def test_settings_that_break_a_server_do_not_reach_the_course_s(tmp_path):
    (tmp_path / ".jupyter").mkdir()
    for name, text in HOSTILE.items():
        (tmp_path / ".jupyter" / name).write_text(text)
    with served(a_free_port(), HOME=str(tmp_path)) as server:
        address, _ = opened(server)
        assert list(ask(address, "api/kernelspecs")["kernelspecs"]) == ["python3"]
        assert ask(address, "api/contents/README.md")["path"] == "README.md"


def test_what_a_person_chose_in_jupyterlab_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("JUPYTER_CONFIG_DIR", "JUPYTERLAB_SETTINGS_DIR"):
        monkeypatch.delenv(variable, raising=False)
    settings = lab_settings.settings("student", tmp_path / "scratch")
    theirs = tmp_path / ".jupyter" / "lab" / "user-settings"
    assert settings["JUPYTERLAB_SETTINGS_DIR"] == str(theirs)
    assert settings["JUPYTER_CONFIG_DIR"] == str(tmp_path / "scratch" / "config")


@pytest.mark.parametrize("below", ["nowhere", "a file/home"])
def test_a_home_that_cannot_be_written_is_told_and_does_without(tmp_path, below):
    (tmp_path / "a file").touch()
    home = tmp_path / below
    with served(a_free_port(), HOME=str(home)) as server:
        address, said = opened(server)
        assert said.startswith(f"{home} can't be written to: ")
        assert ask(address, "api/contents/README.md")["path"] == "README.md"
    assert not home.exists()


def ended(*flags, port=None):
    """What is said of a server that does not open."""
    with served(port or a_free_port(), *flags) as server:
        _, said = server.communicate(timeout=lab.START_S - 10)
        assert server.returncode == 1
    assert "Traceback" not in said
    return said.splitlines()


def test_a_missing_contents_manager_is_the_last_line_with_a_remedy():
    last, remedy = ended("--ServerApp.contents_manager_class=nowhere.Manager")
    assert last.startswith("JupyterLab ended. Its last line: Bad config")
    assert "'nowhere.Manager' could not be imported" in last
    assert "look into ARGS=" in remedy


def test_a_port_that_is_taken_meanwhile_is_the_last_line_with_a_remedy():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        last, remedy = ended(port=taken.getsockname()[1])
    assert "is not available" in last
    assert "PORT=" in remedy


@pytest.mark.parametrize(
    ("said", "last", "remedy"),
    [
        ("[C 1:2 ServerApp] ERROR: the port 1 is already in use", "ERROR", "PORT="),
        (
            "  File x\n    y()\n    ^^~~\nPermissionError: [Errno 13] '/h'\n\n",
            "P",
            "HOME=",
        ),
        ("ModuleNotFoundError: No module named 'zmq'\n", "Mod", "rm -r .venv"),
        ("Segmentation fault\n", "Segm", "All that it said: the.log"),
        ("", "It gave no reason.", "the.log"),
    ],
)
def test_the_last_line_that_means_something_gets_its_remedy(said, last, remedy):
    first, second = lab.why_ended(said, "the.log").splitlines()
    assert first.startswith(f"Its last line: {last}")
    assert remedy in second


@pytest.mark.parametrize("port", ["0", "65536", "-1", "lab", ""])
def test_what_is_no_port_is_one_line(port):
    with pytest.raises(SystemExit, match=r"is no port: it is a number from 1 to 65535"):
        lab.check_port(port)


def test_a_port_in_use_on_the_other_family_is_in_use():
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no ::1")
    with server:
        assert lab.refusal(server.getsockname()[1]) == "in use"
