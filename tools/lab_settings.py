"""In which environment JupyterLab runs: the course's settings before a person's own.

What a person chose inside JupyterLab (theme, keys, layout) stays.  The files that set
up a server, in ~/.jupyter, are not read: they can allow other kernels only, name a
missing contents manager, or raise.  JUPYTER_CONFIG_PATH, set on purpose, is read after
the course's, and /etc/jupyter last.  Where the home can't be written, a folder that
lasts as long as the server takes its place.  Read in order: `settings`, `homeless`.
"""

import os
import re
from pathlib import Path

import homework
from jupyter_core.paths import jupyter_config_dir, jupyter_data_dir, jupyter_runtime_dir

ROOT = Path(__file__).resolve().parents[1]


def settings(role: str, scratch: Path) -> dict[str, str]:
    """The environment of a server for `role`; `scratch` is a folder of this run's."""
    environment = dict(os.environ)
    lab = Path(jupyter_config_dir()) / "lab"
    runtime = Path(jupyter_runtime_dir())
    if unwritable() is not None:
        environment = homeless(environment, scratch)
        lab, runtime = scratch / "lab", scratch / "runtime"
    environment = {
        "JUPYTERLAB_SETTINGS_DIR": str(lab / "user-settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(lab / "workspaces"),
    } | environment
    environment |= {
        "JUPYTER_CONFIG_DIR": str(scratch / "config"),
        "JUPYTER_RUNTIME_DIR": str(runtime),
    }
    return environment | homework.activated() | config_path(role) | data_path()


def config_path(role: str) -> dict[str, str]:
    """The environment in which Jupyter finds the course's settings for `role`."""
    course = ROOT / "course"
    folders = [course / "jupyter", course]
    if role == "student":
        folders.insert(0, course / "jupyter" / "student")
    return before("JUPYTER_CONFIG_PATH", folders)


def data_path() -> dict[str, str]:
    """The environment in which Jupyter finds the course's kernel."""
    return before("JUPYTER_PATH", [ROOT / "course" / "jupyter"])


def before(variable: str, folders: list[Path]) -> dict[str, str]:
    """`variable` with `folders` before those that it has."""
    inherited = os.environ.get(variable)
    paths = [*map(str, folders), *([inherited] if inherited else [])]
    return {variable: os.pathsep.join(paths)}


def unwritable() -> Path | None:
    """The first folder in which Jupyter keeps things and can't; None where it can."""
    home = Path.home()
    if not home.is_dir():  # root could make it, and should not
        return home
    ipython = os.environ.get("IPYTHONDIR", f"{home}/.ipython")
    kept = (jupyter_config_dir(), jupyter_data_dir(), jupyter_runtime_dir(), ipython)
    return next((p for p in (home, *map(Path, kept)) if not can_be_made(p)), None)


def can_be_made(folder: Path) -> bool:
    """Whether `folder` can be written to, or made and then written to."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def homeless(environment: dict[str, str], scratch: Path) -> dict[str, str]:
    """`environment` with `scratch` for a home, and no way back to the other."""
    ways = re.compile(r"JUPYTER\w*_DIR|IPYTHONDIR|XDG_\w+")
    kept = {key: v for key, v in environment.items() if not ways.fullmatch(key)}
    return kept | {"HOME": str(scratch)}
