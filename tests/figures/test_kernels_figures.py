"""The figures of the lecture on kernels draw the rows that were measured."""

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from lib.figures.kernels import (
    BASELINES,
    bytes_of_tiles,
    roofline_of_rows,
    times_against_tokens,
    word_of_planes,
)


def row(m, size, ours, **baselines):
    """A row of the committed results, as far as it is drawn."""
    nbytes = size * size // 2
    return {"m": m, "n": size, "k": size, "nbytes": nbytes, "ours": ours} | {
        "baselines": baselines
    }


ROWS = [
    row(1, 64, 2.0, cublas=4.0, tinygemm=3.0, marlin=2.5, gemlite=2.25),
    row(8, 64, 3.0, cublas=5.0, tinygemm=4.0, marlin=3.5, gemlite="refused"),
    row(1, 128, 7.0, cublas=9.0),
]


def boxes(ax):
    """The number in each field of bits, by the field's left end."""
    fields = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    return {
        field.get_x(): text.get_text()
        for field, text in zip(fields, ax.texts, strict=False)
        if text.get_position()[0] == field.get_x() + field.get_width() / 2
    }


def test_two_codes_share_a_byte_and_four_planes_a_word(legible):
    columns = np.arange(16).reshape(4, 4)  # plane p holds columns 4p … 4p + 3
    figure = word_of_planes(columns)
    top, bottom = figure.axes
    # high to low: the low nibble of byte 0 is column 0, and stands on the right of it
    assert boxes(top) == {
        **{8 * byte: str(2 * byte + 1) for byte in range(4)},
        **{8 * byte + 4: str(2 * byte) for byte in range(4)},
    }
    assert [boxes(bottom)[4 * i] for i in range(8)] == [
        *("12", "8", "4", "0"),
        *("13", "9", "5", "1"),
    ]
    legible(figure)


def test_traffic_is_a_line_a_product():
    traffic = {"x": [8.0, 4.0, 2.0], "Ŵ": [1.0, 1.0, 1.0]}
    figure = bytes_of_tiles([16, 32, 64], traffic)
    (ax,) = figure.axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in ax.lines}
    assert drawn == traffic
    assert all(list(line.get_xdata()) == [16, 32, 64] for line in ax.lines)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["16", "32", "64"]
    figure.canvas.draw()


def test_times_are_those_of_one_size_and_what_was_refused_is_left_out():
    figure = times_against_tokens(ROWS, 64, bandwidth=1000.0)
    (ax,) = figure.axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    names = {who: label for who, (label, _) in BASELINES.items()}
    assert drawn == {
        "ours, int4": [[1, 2.0], [8, 3.0]],
        names["cublas"]: [[1, 4.0], [8, 5.0]],
        names["tinygemm"]: [[1, 3.0], [8, 4.0]],
        names["marlin"]: [[1, 2.5], [8, 3.5]],
        names["gemlite"]: [[1, 2.25]],
        "bytes over bandwidth": [[1, 2.048], [8, 2.048]],
    }
    assert ax.get_title(loc="left") == "One product, 64 x 64"
    figure.canvas.draw()


def test_the_roofline_has_a_point_for_every_time_below_its_bound():
    figure = roofline_of_rows(ROWS, bandwidth=1000.0, peak=2e10)
    (ax,) = figure.axes
    roof, *points = ax.lines
    x, y = roof.get_data()
    assert y == pytest.approx(np.minimum(x * 1e9, 2e10) / 1e12)
    colours = {colour: label for label, colour in BASELINES.values()}
    found = {}
    for line in points:
        label = colours.get(line.get_color(), line.get_color())
        found.setdefault(label, []).extend(line.get_xydata().tolist())
    operations = 2 * 64 * 64
    halves = [  # cuBLAS reads 16 bits a weight: 8192 and 32768 bytes
        [operations / 8192, operations / 4.0 / 1e6],
        [8 * operations / 8192, 8 * operations / 5.0 / 1e6],
        [4 * operations / 32768, 4 * operations / 9.0 / 1e6],
    ]
    assert np.array(found["cuBLAS, fp16"]) == pytest.approx(np.array(halves))
    gemlite = [[operations / 2048, operations / 2.25 / 1e6]]
    assert np.array(found["gemlite, int4"]) == pytest.approx(np.array(gemlite))
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[-2:] == ["64 x 64", "128 x 128"] and len(set(labels)) == len(labels)
    figure.canvas.draw()
