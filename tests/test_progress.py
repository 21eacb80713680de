import time

from lib import progress as module
from lib.progress import progress


def test_yields_everything_in_order_and_stays_silent_when_quick(capsys):
    assert list(progress(range(1000), "counting")) == list(range(1000))
    assert list(progress((x for x in "abc"), "letters", total=3)) == ["a", "b", "c"]
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == ""


def test_shows_a_bar_on_stderr_when_slow_and_leaves_nothing_behind(monkeypatch, capsys):
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    for _ in progress(range(6), "slow work"):
        time.sleep(0.05)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "slow work" in captured.err
    last_frame = captured.err.rstrip("\r").rsplit("\r", 1)[-1]
    assert last_frame.strip() == "", f"the bar left {last_frame!r} behind"
