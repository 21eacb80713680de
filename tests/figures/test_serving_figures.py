"""Lecture 14's drawings show what they claim, and the stepper follows its slider."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from lib.figures.decoding import serving, steps
from lib.figures.decoding.serving import Passed

# Three requests on two places: 2 leaves, and 3 comes in its place.
TRACE = [
    Passed({1: 5, 2: 4}, {}, 1),
    Passed({}, {1: 1, 2: 1}, 1),
    Passed({3: 6}, {1: 1}, 0),
    Passed({}, {3: 2}, 0),
]
OTHER = [Passed({1: 3}, {}, 0)]


def boxes(ax):
    return [
        p for p in ax.patches if isinstance(p, Rectangle) and p.get_facecolor()[3] > 0
    ]


def test_a_cache_grows_by_its_bytes_and_meets_its_weights(legible):
    figure = serving.growth({"a": 1e5, "b": 2e6}, {"a": 1e9, "b": 4e9}, longest=1e6)
    (ax,) = figure.axes
    a, weights_a, b, weights_b, _ = ax.lines
    for line, size in ((a, 1e5), (b, 2e6)):
        assert line.get_ydata() == pytest.approx(line.get_xdata() * size / 1e9)
    assert [w.get_ydata()[0] for w in (weights_a, weights_b)] == [1.0, 4.0]
    assert a.get_color() == weights_a.get_color() != b.get_color()
    legible(figure)


def test_a_map_has_a_cell_a_block_in_its_order():
    cells = [0, 0, 1, serving.RESERVED, serving.UNUSED]
    figure = serving.memory_maps({"one": cells, "two": [7]}, columns=3)
    one, two = figure.axes
    drawn = boxes(one)
    assert [box.get_xy() for box in drawn] == [(0, 1), (1, 1), (2, 1), (0, 0), (1, 0)]
    assert [to_hex(box.get_facecolor()) for box in drawn] == [
        to_hex(serving.colour_of(cell)) for cell in cells
    ]
    assert len({serving.colour_of(c) for c in (0, 1, -1, -2)}) == 4
    assert [text.get_text() for text in one.texts] == ["0", "0", "1"]
    assert len(boxes(two)) == 1 and two.get_title(loc="left") == "two"
    figure.canvas.draw()


def test_a_request_keeps_its_place_until_its_last_pass():
    seats = serving.places(TRACE, 2)
    assert seats == [{0: 1, 1: 2}, {0: 1, 1: 2}, {0: 1, 1: 3}, {1: 3}]
    with pytest.raises(ValueError, match="pass 0 has more than 1 requests"):
        serving.places(TRACE, 1)


def test_who_pauses_keeps_its_place():
    trace = [Passed({1: 2}), Passed({2: 2}), Passed({}, {1: 1})]
    assert serving.places(trace, 2) == [{0: 1}, {0: 1, 1: 2}, {0: 1}]
    with pytest.raises(ValueError, match="pass 1"):
        serving.places(trace, 1)


def test_a_timeline_has_a_box_for_each_place_that_is_taken(legible):
    figure = serving.timelines({"long": TRACE, "short": OTHER}, texts=2)
    top, bottom = figure.axes
    assert top.get_title(loc="left") == "long: 4 passes"
    found = {(box.get_x(), round(box.get_y())) for box in boxes(top)}
    assert found == {
        (at, place) for at, s in enumerate(serving.places(TRACE, 2)) for place in s
    }
    framed = {box.get_x() for box in boxes(top) if box.get_linewidth() > 0.5}
    assert framed == {0, 2}
    assert sorted(text.get_text() for text in top.texts) == ["1", "2", "3"]
    assert len(boxes(bottom)) == 1
    legible(figure)


def test_the_stepper_shows_the_pass_of_its_slider():
    slider, shown = serving.stepper({"long": TRACE, "short": OTHER}, texts=2).children
    assert slider.max == 3
    assert "1 reads 5" in shown.value and "2 reads 4" in shown.value
    assert "1 reads 3" in shown.value and "nobody" in shown.value
    assert "1 waiting" in shown.value
    slider.value = 2
    assert "3 reads 6" in shown.value and "1 writes 1" in shown.value
    assert "all was written after 1 passes" in shown.value
    slider.value = 3
    assert "3 writes 2" in shown.value and "1 writes" not in shown.value


def test_bars_stack_what_is_read_and_written():
    figure = serving.pass_sizes({"long": TRACE, "short": OTHER})
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == [9, 0, 6, 0, 0, 2, 1, 2]
    bottoms = [bar.get_y() for bar in figure.axes[0].patches[4:]]
    assert bottoms == [9, 0, 6, 0]
    figure.canvas.draw()


def test_pictures_of_keys_have_a_row_a_channel():
    k, v = torch.randn(20, 4), torch.randn(20, 4)
    figure = serving.keys_and_values(k, v)
    for ax, x in zip(figure.axes[:2], (k, v), strict=True):
        (image,) = ax.images
        assert torch.equal(torch.from_numpy(image.get_array().data).float(), x.abs().T)
    figure.canvas.draw()


def test_perplexity_has_a_line_a_layout_and_a_panel_a_text():
    rows = [{"text": "t", "bits": None, "keys": None, "values": None}]
    rows[0] |= {"perplexity": 12.0, "bits_per_number": 32}
    for keys in ("channel", "token"):
        for values in ("channel", "token"):
            for bits in (8, 2):
                row = {"text": "t", "bits": bits, "keys": keys, "values": values}
                rows.append(
                    row | {"perplexity": 12 + 8 / bits, "bits_per_number": bits}
                )
    figure = serving.perplexity_against_bits(rows, {"t": "A text"})
    (ax,) = figure.axes
    *lines, whole = ax.lines
    assert len(lines) == 4 and whole.get_ydata()[0] == 12.0
    for line in lines:
        assert line.get_xydata().tolist() == [[2, 16.0], [8, 13.0]]
    assert ax.get_title(loc="left") == "A text"
    figure.canvas.draw()


def test_waits_are_medians_among_their_seeds():
    values = np.array([[1.0, 2.0], [3.0, 9.0], [2.0, 4.0]])
    lines = {"one": values, "two": values * 2}
    figure = serving.waits(
        {"few": lines, "many": lines}, {"few": [1, 2], "many": [5, 6]}
    )
    few, many = figure.axes
    assert len(few.lines) == 2 * 4
    assert list(few.lines[0].get_ydata()) == [2.0, 4.0]
    assert [list(line.get_ydata()) for line in few.lines[1:4]] == values.tolist()
    assert list(many.lines[0].get_xdata()) == [5, 6]
    figure.canvas.draw()


def test_curves_begin_at_one():
    figure = serving.together({"a": ([1, 4], [2, 3]), "b": ([1, 8], [5, 40])})
    (ax,) = figure.axes
    assert [list(line.get_ydata()) for line in ax.lines] == [[1, 1.5], [1, 8], [1, 8]]
    figure.canvas.draw()
    plt.close(figure)


def test_a_step_is_a_bar_of_its_bytes_and_the_rest(legible, texts_of):
    figure = steps.shares(
        {
            "one": steps.Bar(200.0, 100.0, 20.0, "first"),
            "many": steps.Bar(1000.0, 100.0, 700.0, "second"),
        }
    )
    (ax,) = figure.axes
    drawn = [bar for bar in ax.patches if bar.get_width()]
    assert [bar.get_width() for bar in drawn] == pytest.approx([50, 10, 40, 10, 70, 20])
    assert [bar.get_x() for bar in drawn] == pytest.approx([0, 50, 60, 0, 10, 80])
    assert {"one", "many", "first", "second"} <= set(texts_of(figure))
    legible(figure)
