"""README.md: one screen, a map without holes, links that lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
LECTURES = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
HOMEWORKS = sorted(path.stem for path in (ROOT / "solutions").glob("*/*.ipynb"))


def test_it_fits_on_one_screen():
    assert len(README.splitlines()) <= 60


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_link_leads_to_a_file(document):
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / document).read_text())
    assert links, "the document links to nothing"
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing


def test_the_map_names_every_lecture_and_homework():
    assert len(LECTURES) > 5 and len(HOMEWORKS) > 5
    assert all(f"(notebooks/{name})" in README for name in LECTURES)
    rows = [line for line in README.splitlines() if re.match(r"\| \d\d ", line)]
    assert sorted(re.findall(r"hw_\w+", "".join(rows))) == HOMEWORKS


def test_every_make_command_that_it_names_exists():
    makefile = (ROOT / "Makefile").read_text()
    for document in ("README.md", "CONTRIBUTING.md"):
        verbs = re.findall(r"\bmake (\w+)", (ROOT / document).read_text())
        assert verbs, f"{document} names no command"
        for verb in verbs:
            if verb not in {"test", "lab"}:
                assert re.search(rf"^{verb}:", makefile, re.MULTILINE), verb
