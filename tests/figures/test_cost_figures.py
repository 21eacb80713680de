"""The figures of lecture 01 draw what `lib.cost` computes."""

import numpy as np
import pytest
import torch

from lib.cost import MACHINES, Layer
from lib.figures import cost as figures
from lib.figures.theme import GREEN, PINK

H100, A100 = MACHINES["H100"], MACHINES["A100"]


def test_bars_carry_the_gigabytes_and_the_machines(legible, texts_of):
    figure = figures.memory_bars(70e9, (64, 16), [H100])
    (ax,) = figure.axes
    assert [bar.get_width() for bar in ax.patches[:2]] == [560, 140]
    assert [line.get_xdata()[0] for line in ax.lines] == [80]
    expected = {"64 bits", "16 bits", "560 GB", "140 GB", "H100\n80 GB"}
    assert expected <= set(texts_of(figure))
    legible(figure)


def test_a_roofline_bends_at_the_ridge(legible):
    machines = [A100, H100]
    figure = figures.rooflines(machines, format="fp16", width=4096)
    (ax,) = figure.axes
    for machine, (roof, ridge) in zip(
        machines, (ax.lines[:2], ax.lines[2:4]), strict=True
    ):
        x, y = roof.get_data()
        expected = np.minimum(x * machine.bandwidth, machine.peak("fp16")) / 1e12
        assert y == pytest.approx(expected) and y[0] < y[-1] == max(y)
        assert ridge.get_xdata() == pytest.approx([machine.ridge("fp16")])
        assert ridge.get_ydata() == pytest.approx([machine.peak("fp16") / 1e12])
        assert machine.name in roof.get_label()
    walls = {text.get_text(): text.get_position()[0] / 1.07 for text in ax.texts}
    assert walls == pytest.approx(
        {f"K = {k:,}": Layer(k, 4096).intensity for k in (1, 32, 256, 2048)}
    )
    assert [w.get_xdata()[0] for w in ax.lines[4:]] == pytest.approx([*walls.values()])
    legible(figure)


def test_layer_times_mark_their_turning_points():
    figure = figures.layer_times(H100, 8192)
    (ax,) = figure.axes
    ways = [(4, 16, "fp16"), (8, 8, "int8"), (16, 16, "fp16")]
    turns = [text.get_text() for text in ax.texts[:3]]
    for (w, a, format), curve, dot, text in zip(
        ways, ax.lines[:6:2], ax.lines[1:6:2], turns, strict=True
    ):
        for k, micros in zip(*curve.get_data(), strict=True):
            seconds = Layer(int(k), 8192, w, a).seconds(H100, format)
            assert micros == pytest.approx(1e6 * seconds)
        turn = dot.get_xdata()[0]
        assert text == f"K = {turn:.0f}"
        before, after = (Layer(int(turn) + i, 8192, w, a) for i in (-2, 2))
        walls = [layer.regime(H100, format) for layer in (before, after)]
        assert walls == ["memory", "compute"], f"{text} is no turning point"
    assert ax.lines[6].get_xdata()[0] == 8192 and ax.texts[3].get_text() == "K = N"


def test_measurements_are_drawn_as_they_are(texts_of):
    steps = {1: [10.0, 40.0, 10.0], 4: [20.0] * 3}
    figure = figures.latency_and_throughput(steps)
    left, right = figure.axes
    for line, times in zip(left.lines[:2], steps.values(), strict=True):
        assert list(line.get_xdata()) == sorted(times)
        assert line.get_ydata() == pytest.approx([100 / 3, 200 / 3, 100])
    assert [line.get_ydata()[0] for line in left.lines[2:]] == [50, 95]
    rates = [bar.get_height() for bar in right.patches]
    assert rates == pytest.approx([100, 200]), "tokens/s = batch / median"
    assert {"100", "200", "batch 1", "batch 4"} <= set(texts_of(figure))


def test_every_start_is_a_dot_and_the_lines_are_the_least_and_enough():
    losses = torch.tensor([[0.5, 0.4], [0.1, 0.1], [0.3, 0.05]])
    figure = figures.losses_by_width(losses, (1, 4, 8), enough=6.0)
    *dots, least, enough = figure.axes[0].lines
    drawn = torch.tensor([list(dot.get_ydata()) for dot in dots])
    torch.testing.assert_close(drawn, losses, check_dtype=False)
    for place, dot in enumerate(dots):
        assert dot.get_xdata().mean() == pytest.approx(place)
        assert dot.get_linestyle() == "None"
    assert least.get_ydata()[0] == pytest.approx(0.05) and least.get_color() == GREEN
    assert enough.get_xdata()[0] == pytest.approx(1.5) and enough.get_color() == PINK
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["1", "4", "8"]
    figure.canvas.draw()
