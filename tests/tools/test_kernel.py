"""A notebook's kernel: `lib` is the course's, and what hides a module is told."""

import os
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

ROOT = Path(__file__).parents[2]
KERNELS = ROOT / "course" / "jupyter" / "kernels"
CELL = """\
import random
import lib.cost
print(lib.__file__, random.random() < 1)
"""


class Notebook:
    """A kernel in `folder`; what a cell says, and what the terminal showed."""

    def __init__(self, folder, **environment):
        specs = KernelSpecManager(kernel_dirs=[str(KERNELS)])
        self.manager = KernelManager(kernel_spec_manager=specs)
        self.log = (folder.parent / "terminal.txt").open("w+")
        # ipykernel catches what is written to descriptor 2, but not within a test.
        dropped = {"PYTHONPATH", "PYTEST_CURRENT_TEST"}
        kept = {key: x for key, x in os.environ.items() if key not in dropped}
        self.manager.start_kernel(
            cwd=folder, env=kept | environment, stderr=self.log, stdout=self.log
        )
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)

    def run(self, code):
        """{"stdout": …, "stderr": …} of a cell."""
        said = {"stdout": "", "stderr": ""}

        def hear(message):
            content = message["content"]
            if message["msg_type"] == "stream":
                said[content["name"]] += content["text"]
            assert message["msg_type"] != "error", content

        self.client.execute_interactive(code, timeout=120, output_hook=hear)
        return said

    def terminal(self):
        self.log.seek(0)
        return self.log.read()

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.log.close()


@pytest.fixture
def folder(tmp_path):
    """Where a student's notebook lies."""
    folder = tmp_path / "my homework"
    folder.mkdir()
    return folder


@pytest.fixture
def start(folder):
    started = []

    def start(**environment):
        started.append(Notebook(folder, **environment))
        return started[-1]

    yield start
    for notebook in started:
        notebook.close()


def test_a_notebook_beside_nothing_says_nothing(folder, start):
    (folder / "helpers.py").write_text("twice = 2")
    notebook = start(PYTHONPATH=str(ROOT))
    said = notebook.run(f"{CELL}import helpers")
    assert said == {"stdout": f"{ROOT}/lib/__init__.py True\n", "stderr": ""}


def test_a_lib_beside_the_notebook_is_told_and_the_course_s_is_imported(folder, start):
    (folder / "lib.py").write_text("mine = True")
    said = start().run(CELL)
    assert said["stdout"] == f"{ROOT}/lib/__init__.py True\n"
    assert said["stderr"] == (
        "lib.py beside this notebook has the name of the course's lib, which is "
        "imported in its place: rename yours.\n"
    )


def test_another_lib_on_pythonpath_is_told_and_the_course_s_is_imported(
    tmp_path, start
):
    other = tmp_path / "other" / "lib"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("mine = True")
    said = start(PYTHONPATH=str(other.parent)).run(CELL)
    assert said["stdout"] == f"{ROOT}/lib/__init__.py True\n"
    assert said["stderr"].startswith(f"{other.parent}, on PYTHONPATH, has lib, with ")
    assert len(said["stderr"].splitlines()) == 1


@pytest.mark.parametrize(
    ("module", "whose"), [("random", "Python's"), ("torch", "the installed")]
)
def test_a_file_that_hides_a_module_is_named_once(folder, start, module, whose):
    notebook = start()
    (folder / f"{module}.py").write_text("")  # made while the notebook is open
    sentence = (
        f"{module}.py beside this notebook can be imported in place of {whose} "
        f"{module}: rename it, and restart the kernel.\n"
    )
    assert notebook.run("1")["stderr"] == sentence
    assert notebook.run("1")["stderr"] == ""
    assert notebook.terminal().count(sentence) == 1


def test_the_kernel_starts_beside_files_that_hide_what_it_needs(folder, start):
    for module in ("random", "torch", "json", "typing", "zmq"):
        (folder / f"{module}.py").write_text("raise RuntimeError('mine')")
    assert len(start().run("1")["stderr"].splitlines()) == 5
