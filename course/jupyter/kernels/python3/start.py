"""Start a notebook's kernel, in which `lib` is the course's, and tell what is hidden.

    python start.py -f CONNECTION_FILE          `make lab` and Validate start it so

A file beside the notebook, or in a folder of PYTHONPATH, is imported before an
installed module of its name.  `lib` is found here first; of every other such file the
student is told, on the terminal and in the next cell's output.  The grader starts no
kernel of this kind.  Read in order: `main`, `CourseFirst`, `hidden`.
"""

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[3]
MANY = 3  # more hidden modules in one folder of PYTHONPATH are counted, not named


def main() -> None:
    """Do what ipykernel_launcher does, with the two things of this module."""
    # IPython adds the notebook's folder again, once its own modules are imported.
    sys.path[:] = [p for p in sys.path if p and Path(p) not in (HERE, Path.cwd())]
    sys.meta_path.insert(0, CourseFirst)
    terminal = os.fdopen(os.dup(2), "w", buffering=1)  # ipykernel takes 2 for cells
    from ipykernel.kernelapp import IPKernelApp

    notebook_folder, told = Path.cwd(), set()

    def tell(*_: object) -> None:
        for sentence in hidden(notebook_folder, python_path()):
            if sentence not in told:
                told.add(sentence)
                print(sentence, file=sys.stderr)
                print(sentence, file=terminal)

    app = IPKernelApp.instance()
    app.initialize()
    app.shell.events.register("pre_run_cell", tell)
    app.start()


class CourseFirst:
    """The finder of `lib`, asked before every folder of sys.path."""

    @staticmethod
    def find_spec(name: str, path=None, target=None) -> ModuleSpec | None:
        """Where `lib` is; its modules, and all others, are left to Python."""
        return PathFinder.find_spec(name, [str(ROOT)]) if name == "lib" else None


def hidden(notebook_folder: Path, others: list[Path]) -> list[str]:
    """A sentence for each file or folder that takes the name of another module."""
    mine = {notebook_folder, *others}
    installed = [p for p in sys.path if p and Path(p) not in mine]
    beside = [
        f"{name} beside this notebook has the name of the course's lib, which is "
        f"imported in its place: rename yours."
        if module == "lib"
        else f"{name} beside this notebook can be imported in place of {whose(module)} "
        f"{module}: rename it, and restart the kernel."
        for module, name in namesakes(notebook_folder, installed).items()
    ]
    return beside + [
        f"{folder}, on PYTHONPATH, has {listed(found)}, with the name of the course's, "
        "Python's or an installed module: take it off PYTHONPATH, and start again."
        for folder in others
        if folder not in (ROOT, notebook_folder)
        and (found := list(namesakes(folder, installed).values()))
    ]


def namesakes(folder: Path, installed: list[str]) -> dict[str, str]:
    """{module: file or folder in `folder`} of those that exist elsewhere as well."""
    try:
        modules = {
            path.stem: path.name
            for path in sorted(folder.iterdir())
            if path.suffix == ".py" or (path / "__init__.py").is_file()
        }
    except OSError:
        return {}
    return {
        module: name
        for module, name in modules.items()
        if module == "lib"
        or module in sys.stdlib_module_names
        or PathFinder.find_spec(module, installed) is not None
    }


def whose(module: str) -> str:
    """Whose the module is that a file hides."""
    return "Python's" if module in sys.stdlib_module_names else "the installed"


def python_path() -> list[Path]:
    """The folders of PYTHONPATH."""
    folders = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [Path(folder).resolve() for folder in folders if folder]


def listed(names: list[str]) -> str:
    """The first names, and how many there are beside them."""
    more = len(names) - MANY
    return ", ".join(names[:MANY]) + (f" and {more} more" if more > 0 else "")


if __name__ == "__main__":
    main()
