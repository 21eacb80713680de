"""tools/lab.py: a port in use is named, with one that is free."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import lab

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
        role: lab.config_path(role)["JUPYTER_CONFIG_PATH"].split(os.pathsep)
        for role in ("student", "instructor")
    }
    assert str(ROOT / "course" / "jupyter" / "student") == paths["student"][0]
    assert paths["student"][1:] == paths["instructor"]
    assert str(ROOT / "course") in paths["instructor"]


def test_the_path_to_a_person_s_own_settings_is_kept(monkeypatch):
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/mine")
    assert lab.config_path("student")["JUPYTER_CONFIG_PATH"].endswith(":/mine")


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
