"""A right answer gets everything, a stub nothing, a mistake costs what it should.

With -s, prints what each mutant lost.
"""

from pathlib import Path

import gates
import nbformat
import pytest


def secrets(name: str) -> list[str]:
    """Return the lines that only the source may have: solutions and hidden tests."""
    shown, hidden, inside = set(), [], False
    for cell in gates.read(name).cells:
        written = gates.role(cell) == "written"
        for line in map(str.strip, cell.source.split("\n")):
            if "BEGIN SOLUTION" in line or "BEGIN HIDDEN TESTS" in line:
                inside = True
            elif "END SOLUTION" in line or "END HIDDEN TESTS" in line:
                inside = False
            elif inside and (len(line) >= 12 or written):
                hidden.append(line)
            else:
                shown.add(line)
    told = [line for line in hidden if line and line not in shown]
    return [line for line in told if not line.endswith("(")]  # a call's first line


@pytest.mark.parametrize("name", gates.HOMEWORKS)
def test_gate(name: str, tmp_path: Path):
    report = gates.grade(name, tmp_path)
    print("\n" + gates.table(name, report))
    wrong = gates.complaints(name, report)
    release = tmp_path / "release" / name
    nb = nbformat.read(release / f"{name}.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in nb.cells)
    wrong += [f"the release shows {line!r}" for line in secrets(name) if line in text]
    extra = {path.name for path in release.iterdir()} - {f"{name}.ipynb"}
    wrong += [f"the release holds {extra}"] if extra else []
    assert not wrong, "\n".join(wrong)
