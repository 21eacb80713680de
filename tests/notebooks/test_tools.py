"""tools/notebooks.py: one clean form for a notebook, and a check that means it."""

import importlib.util
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
)

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("notebooks", ROOT / "tools/notebooks.py")
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def lecture(*cells):
    return new_notebook(cells=list(cells))


def ran(source, *outputs, count=7):
    return new_code_cell(source, outputs=list(outputs), execution_count=count)


def saved(nb, tmp_path):
    path = tmp_path / "x.ipynb"
    tool.write(tool.normalize(nb), path)
    return path


def test_normalizing_twice_changes_nothing():
    nb = lecture(
        new_markdown_cell("# The bits of pi\n"),
        ran("print(1)", stream("1"), stream("\n"), stream("50%|", name="stderr")),
        ran("2", new_output("execute_result", {"text/plain": "2"}, execution_count=9)),
    )
    nb.cells[1].metadata["execution"] = {"iopub.execute_input": "2026-01-01T00:00"}
    nb.metadata["widgets"] = {"state": {}}
    once = tool.normalize(nb)
    assert tool.normalize(once) == once
    assert dict(once.metadata) == tool.METADATA
    assert [cell.id for cell in once.cells] == ["the-bits-of-pi", "print-1", "2"]
    assert [cell.execution_count for cell in once.cells[1:]] == [1, 2]
    assert once.cells[2].outputs[0].execution_count == 2
    assert once.cells[1].outputs == [stream("1\n")]
    assert once.cells[1].metadata == {}


def test_a_chosen_id_outlives_its_content_and_a_copy_gets_another():
    nb = lecture(new_markdown_cell("# New title"), new_markdown_cell("# New title"))
    nb.cells[0].id = nb.cells[1].id = "old-title"
    assert [c.id for c in tool.normalize(nb).cells] == ["old-title", "new-title"]


def test_a_widget_leaves_no_stored_view():
    view = new_output(
        "display_data", {tool.WIDGET: {"model_id": "1"}, "text/plain": "w"}
    )
    assert tool.normalize(lecture(ran("w", view))).cells[0].outputs == []


def test_a_homework_source_keeps_its_grades_and_loses_its_outputs(tmp_path):
    cell = ran("1", stream("1"))
    cell.metadata["nbgrader"] = {"grade_id": "decode", "points": 2}
    path = saved(lecture(cell), tmp_path)
    (clean,) = nbformat.read(path, as_version=4).cells
    assert clean.id == "decode" and clean.metadata.nbgrader.points == 2
    assert clean.outputs == [] and clean.execution_count is None
    assert list(tool.complaints(path)) == []


def test_a_clean_lecture_has_nothing_to_complain_of(tmp_path):
    path = saved(lecture(ran("print(1)", stream("1\n"))), tmp_path)
    assert list(tool.complaints(path)) == []
    assert tool.main(["check", str(tmp_path)]) == 0


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ([ran("1/0", new_output("error", ename="E", evalue="v"))], "ends in an error"),
        ([ran("x = 1")], "no outputs at all"),
        ([ran("1", stream("1")), new_code_cell("2")], "never run"),
        ([ran("1", stream("see /home/me/x.py"))], "'/home/me/x.py'"),
        ([ran("1", stream("x" * 1_000_000))], "at most 1,000,000"),
    ],
)
def test_what_is_not_clean_is_said(cells, says, tmp_path):
    path = saved(lecture(*cells), tmp_path)
    assert any(says in what for what in tool.complaints(path))
    assert tool.main(["check", str(path)]) == 1


def test_a_notebook_in_another_form_is_named(tmp_path):
    path = saved(lecture(ran("print(1)", stream("1\n"))), tmp_path)
    path.write_text(path.read_text().replace('"python3"', '"my-conda-env"'))
    assert [what for what in tool.complaints(path) if "normal form" in what]


@pytest.mark.parametrize(
    "prose",
    [
        "</details>",
        "5 tokens/s/GPU",
        "https://arxiv.org/abs/1712.05877",
        "a/b/c",
        "$1/2/3$",
    ],
)
def test_prose_is_not_taken_for_a_path(prose):
    assert tool.ABSOLUTE_PATH.search(prose) is None


def test_execution_runs_beside_the_notebook(tmp_path):
    (tmp_path / "beside.txt").write_text("here")
    path = saved(lecture(ran("print(open('beside.txt').read())")), tmp_path)
    assert tool.main(["execute", str(path)]) == 0
    (cell,) = nbformat.read(path, as_version=4).cells
    assert cell.outputs == [stream("here\n")] and cell.execution_count == 1
    assert list(tool.complaints(path)) == []


def test_a_missing_notebook_is_an_error():
    with pytest.raises(ValueError, match=r"there is no nowhere\.ipynb"):
        tool.main(["check", "nowhere.ipynb"])
