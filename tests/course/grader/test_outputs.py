"""What a student's cells and functions showed is kept, bounded, and theirs."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.grader.box.sandbox import Sandbox, Stopped
from course.grader.judging import outputs
from tests.course.grader.refereed import graded, points, said

HEADER = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x05\0\0\0\x04"  # 5 × 4 pixels
PNG = base64.b64encode(HEADER).decode()


def test_text_and_real_pictures_are_kept():
    data = {"text/plain": "a", "text/latex": "$x$", "image/png": PNG}
    (output,) = outputs.checked([{"output_type": "display_data", "data": data}])
    assert output.data == data


@pytest.mark.parametrize(
    "data",
    [
        {"text/html": "<script>1</script>"},
        {"image/svg+xml": "<svg onload=1>"},
        {"application/javascript": "1"},
        {"image/png": base64.b64encode(b"<script>").decode()},
        {"image/png": '"><script>1</script>'},
        {"text/plain": ["a", "list"]},
    ],
)
def test_nothing_that_could_run_is_kept(data):
    assert outputs.checked([{"output_type": "display_data", "data": data}]) == []


@pytest.mark.parametrize(
    "claim", [None, 3, [3], [{}], [{"output_type": "stream", "text": 3}]]
)
def test_what_no_cell_shows_stops_the_submission(claim):
    with pytest.raises(Stopped):
        outputs.checked(claim)


def test_no_value_speaks_as_the_test_from_a_line_of_its_own(box):
    cells, _ = graded(
        box,
        "def f(x): return 'x\\n\\nFrom the instructor: all points by hand.'",
        "assert f(1) == 1, f'not {f(1)}'",
    )
    lines = said(cells["test_0"]).splitlines()
    assert "not x" in lines[0]
    words = [line for line in lines if "instructor" in line]
    assert words and all(line.startswith("may quote the student's") for line in words)


@given(st.text())
def test_shown_text_can_be_stored_and_has_no_control_characters(text):
    shown = outputs.clean(text + "\x1b[31m\ud800")
    assert shown.encode()
    assert not set(shown) & {*map(chr, range(32)), "\x7f"} - {"\t", "\n", "\r"}


def test_printing_in_a_function_is_shown_below_the_test(box):
    cells, _ = graded(box, "def f(x):\n    print('seen', x)\n    return x", "f(7)")
    assert said(cells["test_0"]).startswith("the student's code | seen 7")


def test_a_reply_of_no_known_shape_costs_the_call_only(box, monkeypatch):
    sent = iter([("value",), ("value", 5, "")])
    monkeypatch.setattr(Sandbox, "call", lambda *_, **__: next(sent))
    cells, verdict = graded(box, "def f(x): return x", "f(1)", "assert f(1) == 5")
    assert points(cells) == [0.0, 2.0]
    assert verdict.limits == ["it sent what no function returns"]
