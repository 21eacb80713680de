"""The figures of the lecture on speculative decoding draw what they are given."""

import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from lib.figures.decoding.speculative import (
    FATE,
    drafts_by_kind,
    lines,
    overlap,
    passes_of_a_text,
    power_curves,
    quality_against_cost,
    tokens_by_length,
)


def fates(ax):
    """The fate of each drawn token, by its text."""
    names = {colour.lower(): fate for fate, (colour, _) in FATE.items()}
    fields = [p for p in ax.patches if isinstance(p, Rectangle) and p.get_width() > 0]
    return {
        text.get_text(): names[to_hex(field.get_facecolor())]
        for field, text in zip(fields, ax.texts, strict=True)
    }


def test_a_pass_shows_what_stayed_and_what_was_not_tested(legible):
    figure = passes_of_a_text(
        [(["a", "b", "c"], 1, "d"), (["e", "f"], 2, "g"), ([], 0, "h")]
    )
    (ax,) = figure.axes
    assert fates(ax) == {
        **{"a": "accepted", "b": "refused", "c": "untested", "d": "extra"},
        **{"e": "accepted", "f": "accepted", "g": "extra", "h": "extra"},
    }
    place = {text.get_text(): text.get_position()[0] for text in ax.texts}
    assert place["d"] == place["b"], "the target's token stands below the refused one"
    assert place["g"] == 2.5, "or behind the last"
    legible(figure)


def test_the_overlap_and_both_rests_add_up():
    p, q = [0.4, 0.35, 0.25, 0.0], [0.1, 0.6, 0.0, 0.3]
    figure = overlap(p, q)
    for ax, whole in zip(figure.axes, (q, p), strict=True):
        heights = [bar.get_height() for bar in ax.patches]
        both, rest = heights[:4], heights[4:]
        assert both == pytest.approx([min(a, b) for a, b in zip(p, q, strict=True)])
        assert [a + b for a, b in zip(both, rest, strict=True)] == pytest.approx(whole)
    figure.canvas.draw()


def test_powers_are_those_of_the_named_rules(legible):
    rows = [
        {"rule": "one", "power": {"50": 0.1, "100": 0.9}},
        {"rule": "two", "power": {"50": 0.0, "100": 0.2}},
    ]
    figure = power_curves(rows, ["two", "one"])
    (ax,) = figure.axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert drawn == {"two": [[50, 0.0], [100, 0.2]], "one": [[50, 0.1], [100, 0.9]]}
    assert [t.get_text() for t in ax.get_xticklabels()] == ["50", "100"]
    legible(figure)


def test_measured_tokens_are_points_and_expected_ones_a_line(legible):
    figure = tokens_by_length({"a": (0.5, {1: 1.4, 4: 1.8})}, {"a": [1.5, 1.9]})
    (ax,) = figure.axes
    line, points, _ = ax.lines
    assert line.get_xydata().tolist() == [[1, 1.5], [4, 1.9]]
    assert points.get_xydata().tolist() == [[1, 1.4], [4, 1.8]]
    assert points.get_label() == "a, α = 0.50"
    legible(figure)


def test_each_kind_has_every_draft_before_the_loop_and_in_all():
    def row(draft, kind, before, whole):
        parts = {"before_loop": before, "all": whole}
        return {"draft": draft, "kind": kind} | {
            part: {"4": {"tokens_a_pass": tokens}} for part, tokens in parts.items()
        }

    rows = [row("a", "x", 2.0, 3.0), row("b", "x", 1.5, 4.0), row("a", "y", 1.1, 1.2)]
    rows.append(row("b", "y", 1.0, 1.0))
    figure = drafts_by_kind(rows, ["b", "a"], 4)
    first, second = figure.axes
    assert [text.get_text() for text in first.get_yticklabels()] == ["b", "a"]
    ends = [list(line.get_xdata()) for line in first.lines[::3]]
    assert ends == [[1.5, 4.0], [2.0, 3.0]]
    assert [ax.get_title(loc="left") for ax in (first, second)] == ["x", "y"]
    figure.canvas.draw()


def test_lines_mark_the_best_place():
    curves = {"a": {1: 1.0, 2: 3.0, 4: 2.0}, "b": {1: 2.0, 2: 1.0, 4: 0.5}}
    figure = lines(curves, x="γ", y="speed", log=True, best=True, level=1.0)
    (ax,) = figure.axes
    stars = [line for line in ax.lines if line.get_marker() == "*"]
    assert [[float(v) for v in s.get_xydata()[0]] for s in stars] == [[2, 3], [1, 2]]
    assert ax.lines[-1].get_ydata() == [1, 1]
    assert ax.get_xlabel() == "γ" and ax.get_xscale() == "log"
    figure.canvas.draw()


def test_a_coin_is_the_line_between_the_ends(legible):
    figure = quality_against_cost(
        [0.5, 1.0, 1.5], [0.1, 0.35, 0.4], {"large alone": (1.0, 0.4)}, y="right"
    )
    (ax,) = figure.axes
    cascade, coin, large = ax.lines
    assert cascade.get_xydata().tolist() == [[0.5, 0.1], [1.0, 0.35], [1.5, 0.4]]
    assert coin.get_xydata().tolist() == [[0.5, 0.1], [1.5, 0.4]]
    assert large.get_xydata().tolist() == [[1.0, 0.4]]
    legible(figure)
