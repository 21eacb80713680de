"""Each figure of lecture 02 draws what its docstring says."""

import math

from lib.figures.formats import (
    bit_boxes,
    error_curves,
    number_lines,
    reach_and_precision,
    tick_labels,
    values_around,
)
from lib.formats import BF16, FP4_E2M1, FP8_E4M3, FP16, FP32, FP64, bit_string


def test_bit_boxes_write_the_bits_in_order():
    figure = bit_boxes(math.pi, [FP32, FP16])
    texts = [text.get_text() for text in figure.axes[0].texts]
    digits = "".join(t for t in texts if t in ("0", "1"))
    expected = bit_string(math.pi, FP32) + bit_string(math.pi, FP16)
    assert digits == expected.replace(" ", "")
    assert "= 3.1415927410125732" in texts and "= 3.140625" in texts
    figure.canvas.draw()


def test_number_lines_draw_every_number_once():
    figure = number_lines([FP4_E2M1])
    strokes = sum(len(c.get_segments()) for c in figure.axes[0].collections)
    assert strokes == 16  # 0 and -0 lie on each other
    figure = number_lines([FP4_E2M1], reach=1.0)
    strokes = sum(len(c.get_segments()) for c in figure.axes[0].collections)
    assert strokes == 6  # ±0, ±0.5, ±1


def test_reach_and_precision_names_every_format_within_the_axes():
    formats = [FP64, FP32, BF16, FP16, FP8_E4M3, FP4_E2M1]
    figure = reach_and_precision(formats)
    ax = figure.axes[0]
    assert {text.get_text() for text in ax.texts} == {fmt.name for fmt in formats}
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    for points in ax.collections:
        ((x, y),) = points.get_offsets()
        assert left < x < right and low < y < high


def test_error_curves_stay_under_half_a_gap_between_the_extremes():
    figure = error_curves([FP16], low=1e-4, high=6e4)
    curve, bound = figure.axes[0].lines
    worst, bound = max(curve.get_ydata()), bound.get_ydata()[0]
    assert 0.9 * bound < worst <= bound


def test_ticks_can_be_told_apart():
    assert tick_labels([2.5, 2.75, 3.0], 2.75) == ["2.5", "2.75", "3"]
    near_pi = values_around(math.pi, FP32, count=1)
    labels = tick_labels(near_pi, near_pi[1])
    assert labels == ["-2.38e-07", "3.14159", "+2.38e-07"]
    largest = values_around(math.inf, FP64)
    assert len(set(tick_labels(largest, math.inf))) == len(largest)


def test_values_around_zero_and_at_the_ends():
    assert values_around(-0.0, FP4_E2M1, count=2) == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert values_around(math.inf, FP4_E2M1, count=2) == [3.0, 4.0, 6.0]
    assert values_around(-99.0, FP4_E2M1, count=1) == [-6.0, -4.0]
