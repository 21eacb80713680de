"""What the documents name is there: links, paths, names of `lib`, commands, rooms."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

from course.grader.terms import PATIENCE, Limits

ROOT = Path(__file__).parents[2]
LIB = ROOT / "lib"
DOCUMENTS = [
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
    ROOT / "CHANGELOG.md",
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.DOTALL | re.MULTILINE)
FOLDERS = "lib|course|tests|tools|docs|notebooks|solutions"
PATH = re.compile(
    rf"(?<![\w./])(?:{FOLDERS})/[\w./<>-]*|(?<![\w./-])[\w-]+\.(?:md|toml)"
)
NAME = re.compile(r"(?<![\w./])lib(?:\.\w+)+")
STANDS_FOR_ANY = re.compile(r"<\w+>|NAME|NN_topic")
GENERATED = [line for line in (ROOT / ".gitignore").read_text().split() if "/" in line]

each = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def text_of(document):
    """Its text; of a table of what was and what is, only what is."""
    text = document.read_text(encoding="utf-8")
    if document.name == "CHANGELOG.md":
        text = re.sub(r"^\|.*\|(.*)\|$", r"\1", text, flags=re.MULTILINE)
    return text


def code_of(document):
    found = CODE.findall(text_of(document))
    assert found, f"{document.name} has no code: is the pattern right?"
    return found


def slug(heading):
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@each
def test_a_link_leads_to_a_file_and_a_heading(document):
    lost = []
    for link in LINK.findall(text_of(document)):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (document.parent / path) if path else document
        headings = []
        if target.suffix == ".md" and target.is_file():
            found = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE)
            headings = map(slug, found)
        if not target.exists() or (anchor and anchor not in headings):
            lost.append(link)
    assert not lost


@each
def test_a_path_is_there(document):
    lost = []
    for path in {p for code in code_of(document) for p in PATH.findall(code)}:
        if f"/{path}".startswith(tuple(GENERATED)):
            continue
        if not any(ROOT.glob(STANDS_FOR_ANY.sub("*", path.rstrip("/.")))):
            lost.append(path)
    assert not lost


@cache
def names_in(file):
    """{name: its node} of what a module defines or imports, at its top level."""
    found = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef() | ast.ClassDef():
                found[node.name] = node
            case ast.Import() | ast.ImportFrom():
                found |= {alias.asname or alias.name: None for alias in node.names}
            case ast.Assign(targets=targets):
                found |= {
                    n.id: None for t in targets for n in ast.walk(t) if is_name(n)
                }
            case ast.AnnAssign(target=ast.Name(id=name)):
                found[name] = None
    return found


def is_name(node):
    return isinstance(node, ast.Name)


def members(node):
    """What a class defines itself."""
    for part in getattr(node, "body", ()):
        if isinstance(part, ast.FunctionDef):
            yield part.name
        elif isinstance(part, ast.AnnAssign):
            yield part.target.id


def exists(dotted):
    """Whether `lib.…` is a module, a name in one, or a member of such a class."""
    place, *parts = dotted.split(".")
    place = ROOT / place
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    file = place / "__init__.py"
    if parts and (place / f"{parts[0]}.py").is_file():
        file = place / f"{parts.pop(0)}.py"
    if not parts:
        return file.is_file()
    name, *rest = parts
    found = names_in(file)
    if name not in found or len(rest) > 1:
        return False
    return not rest or rest[0] in members(found[name])


def test_names_are_told_from_what_is_not_there():
    assert exists("lib.quant") and exists("lib.quant.method.Method.quantize")
    assert exists("lib.kernels.unfold.unfolded")  # by a folder's own import
    for dotted in ("lib.lost", "lib.quant.method.Lost", "lib.quant.method.Method.lost"):
        assert not exists(dotted)


@each
def test_a_name_of_lib_is_there(document):
    named = {n for code in code_of(document) for n in NAME.findall(code)}
    assert not sorted(name for name in named if not exists(name))


def test_the_map_names_rooms_of_lib():
    rows = re.findall(r"^\| \d\d .*\| (.+) \|$", text_of(ROOT / "README.md"), re.M)
    named = [name for row in rows for name in re.findall(r"`([\w.]+)`", row)]
    assert len(named) >= len(rows) > 0
    assert not [name for name in named if not exists(f"lib.{name}")]


@each
def test_a_command_of_make_is_there(document):
    makefile = (ROOT / "Makefile").read_text()
    said = {v for c in code_of(document) for v in re.findall(r"\bmake ([a-z]+)", c)}
    assert not {v for v in said if not re.search(rf"^{v}:", makefile, re.M)}


# ------------------------------------------------------------------ the rooms


def rooms_of_lib():
    found = (p.stem for p in LIB.iterdir() if p.is_dir() or p.suffix == ".py")
    return {name for name in found if not name.startswith("_")}


def order_in_the_text():
    """[{room, …}, …] from the top, and the words behind `models`."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    block = re.search(r"^```\n(bench .*?)^```", text, re.DOTALL | re.MULTILINE)[1]
    known, order, files = rooms_of_lib(), [], []
    for line in re.sub(r"\n +", " ", block).splitlines():
        words = line.split()
        first = next((k for k, w in enumerate(words) if w not in known), len(words))
        order.append(set(words[:first]))
        if words[0] == "models":
            files = words[first:]
    return order, files


def test_every_room_is_in_the_order_once():
    order, _ = order_in_the_text()
    assert sorted(r for line in order for r in line) == sorted(rooms_of_lib())


def test_every_file_of_models_is_named():
    _, files = order_in_the_text()
    there = {p.stem for p in (LIB / "models").glob("*.py")} - {"__init__"}
    assert sorted(files) == sorted(there)


def test_the_picture_has_the_same_rooms():
    picture = (ROOT / "docs/rooms.svg").read_text(encoding="utf-8")
    drawn = set(re.findall(r'class="name">([\w/]+)<', picture))
    assert rooms_of_lib() <= drawn


def test_the_order_is_import_linter_s():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    linter = project.get("tool", {}).get("importlinter")
    if linter is None:
        pytest.skip("pyproject.toml has no [tool.importlinter]")
    held = [c for c in linter["contracts"] if c.get("containers") == ["lib"]]
    assert len(held) == 1, "one contract is about the rooms of lib"
    layers = [set(re.findall(r"\w+", layer)) for layer in held[0]["layers"]]
    assert layers == order_in_the_text()[0]


def test_the_sandbox_s_limits_are_those_of_the_grader():
    limits, said = Limits(), (ROOT / "SECURITY.md").read_text()
    assert PATIENCE == 10 and "ten times as long" in " ".join(said.split())
    for words in (
        f"{limits.call_s:g} seconds a call or cell, {limits.total_s:g} in all",
        f"{limits.memory >> 30} GB of memory, {limits.files >> 20} MB of files",
        f"{limits.processes} processes",
        f"{limits.extras_s:g} more for all extra cells",
        f"{limits.test_s:g} processor seconds a test and {limits.total_s:g} in all",
    ):
        assert words in " ".join(said.split()), words
