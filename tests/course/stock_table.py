"""What the same attacks get from stock `nbgrader autograde`: attack | stock | ours.

    python tests/course/stock_table.py [--only rewriting,objects]

Stock nbgrader runs them as they are, so it is shut in bubblewrap, with a throwaway
course; what would harm the machine itself (bombs, floods, endless files) is left out.
Read in order: `main`, `serve`.
"""

import argparse
import json
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]

from test_attacks import ATTACKS, ENDS, NAME, ROOT, functions, notebook_of  # noqa: E402

LEFT_OUT = {"resources", "channel"}  # the machine; and stock has no channel
TOO_MUCH = {"pipe", "device", "terabyte", "many_brackets", "many_cells", "deep_json"}
TOO_MUCH |= {"shape_of_a_billion", "list_without_end", "giant_integer", "swapped"}
TOO_MUCH |= {"nested_deep", "places_of_formulas", "time_stamp_linked", "recursion"}
COURSE = Path("/tmp/course")  # as seen in the throwaway box


def main() -> None:
    """Run the attacks against stock nbgrader in a box of its own; print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="folders of attacks/, with commas")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folders = arguments.only.split(",") if arguments.only else None
    if arguments.inside:
        return serve(folders)
    with tempfile.TemporaryDirectory() as course:
        box = ["bwrap", "--ro-bind", "/", "/", "--tmpfs", "/tmp", "--dev", "/dev"]
        box += ["--bind", course, str(COURSE), "--proc", "/proc", "--unshare-pid"]
        box += ["--tmpfs", str(ROOT / "course" / "exchange"), "--unshare-net"]
        box += ["--die-with-parent", "--setenv", "HOME", "/tmp", "--chdir", "/tmp"]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        box += ["--setenv", "PATH", path, sys.executable, __file__, "--inside"]
        subprocess.run([*box, *sys.argv[1:]], check=False)
    return None


def serve(folders: list[str] | None) -> None:
    """Grade a bystander, then each attack, with nbgrader as it comes."""
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    warnings.simplefilter("ignore")
    config = Config()
    config.CourseDirectory.root = str(COURSE)
    config.CourseDirectory.db_url = f"sqlite:///{COURSE}/gradebook.db"
    config.Exchange.root = "/tmp"
    config.Execute.timeout = 30
    (COURSE / "source" / NAME).mkdir(parents=True)
    shutil.copy(ROOT / f"solutions/{NAME}/{NAME}.ipynb", COURSE / "source" / NAME)
    api = NbGraderAPI(config=config)
    api.generate_assignment(NAME)
    read = lambda kind: (COURSE / kind / NAME / f"{NAME}.ipynb").read_text()  # noqa: E731
    klass = argparse.Namespace(source=read("source"), release=read("release"))
    print("| attack | stock nbgrader | ours |\n|---|---|---|", flush=True)
    honest_one = json.loads(klass.source)
    grade(api, "bystander", honest_one)
    for attack in sorted(ATTACKS.rglob("*.py")):
        kind, name = attack.parent.name, attack.stem
        if kind in LEFT_OUT or name in TOO_MUCH or (folders and kind not in folders):
            continue
        state, score, honest = ENDS.search(attack.read_text()).groups()
        notebook = notebook_of(klass, attack, bool(honest))
        got = grade(api, f"{kind}-{name}", notebook, attack)
        if kind == "leaving":
            got += f"; the next student's 11 became {grade(api, 'next', honest_one)}"
        if scores(api, "bystander") != 11:
            got += f"; the bystander has {scores(api, 'bystander')}"
            grade(api, "bystander", honest_one)
        for left in Path("/tmp").iterdir():
            if left != COURSE:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        ours = f"{state}, {score}{' (others’ answers)' if honest else ''}"
        print(f"| {kind}/{name} | {got} | {ours} |", flush=True)


def grade(api, student: str, notebook: dict | None, attack: Path | None = None) -> str:
    """Hand in and autograde with nbgrader; the score in words."""
    folder = COURSE / "submitted" / student / NAME
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        if attack and "hand_in" in functions(attack.read_text()):
            notebook = runpy.run_path(str(attack))["hand_in"](folder, notebook)
        if notebook is not None:
            (folder / f"{NAME}.ipynb").write_text(json.dumps(notebook))
        result = api.autograde(NAME, student, force=True, create=True)
    except Exception as error:
        return f"{type(error).__name__}: it ends the batch"
    if not result["success"]:
        return "fails: no grade"
    page = COURSE / "autograded" / student / NAME / f"{NAME}.ipynb"
    runs = attack and attack.parent.name == "shown" and "<script>" in page.read_text()
    return f"{scores(api, student)} of 11{', script kept' if runs else ''}"


def scores(api, student: str) -> float | None:
    """What the gradebook has for a student, by machine."""
    with api.gradebook as book:
        return book.find_submission(NAME, student).score


if __name__ == "__main__":
    main()
