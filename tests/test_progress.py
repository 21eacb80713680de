"""A bar comes when work lasts, by a clock that the test turns, and leaves nothing."""

import pytest
import tqdm

from lib.progress import PATIENCE_S, progress


@pytest.fixture
def clock(monkeypatch):
    """What tqdm takes for the time; stands still until it is turned."""
    now = [1000.0]
    monkeypatch.setattr(tqdm.std, "time", lambda: now[0])
    return now


def test_yields_everything_in_order_and_stays_silent_when_quick(clock, capsys):
    drawn = []
    for i in progress(range(1000), "counting"):
        clock[0] += 0.99 * PATIENCE_S / 1000
        drawn.append(i)
    assert drawn == list(range(1000))
    assert list(progress((x for x in "abc"), "letters", total=3)) == ["a", "b", "c"]
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == ""


def test_shows_a_bar_on_stderr_when_slow_and_leaves_nothing_behind(clock, capsys):
    for _ in progress((i for i in range(6)), "slow work", total=6):
        clock[0] += PATIENCE_S / 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "slow work" in captured.err and "/6" in captured.err
    last_frame = captured.err.rstrip("\r").rsplit("\r", 1)[-1]
    assert last_frame.strip() == "", f"the bar left {last_frame!r} behind"
