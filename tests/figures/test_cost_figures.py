import matplotlib
import matplotlib.pyplot as plt
import pytest
import torch

from lib.cost import MACHINES
from lib.figures import cost as figures

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def rendered(figure):
    """Draw it (warnings are errors here) and return every text on it."""
    figure.canvas.draw()
    return [t.get_text() for t in figure.findobj(matplotlib.text.Text) if t.get_text()]


def test_bars_carry_the_gigabytes_and_the_machines():
    texts = rendered(figures.memory_bars(70e9, (64, 16), [MACHINES["H100"]]))
    assert {"560 GB", "140 GB", "H100\n80 GB"} <= set(texts)


def test_a_roofline_bends_at_the_ridge():
    machine = MACHINES["A100"]
    figure = figures.rooflines([machine], format="fp16", width=4096)
    roof, ridge = figure.axes[0].lines[:2]
    x, y = roof.get_xdata(), roof.get_ydata()
    assert max(y) == machine.peak("fp16") / 1e12
    flat = x[y == max(y)]
    assert flat.min() == pytest.approx(ridge.get_xdata()[0], rel=0.06)  # one grid step
    assert any("A100" in text for text in rendered(figure))


def test_layer_times_mark_their_turning_points():
    texts = rendered(figures.layer_times(MACHINES["H100"], 8192))
    assert sum(text.startswith("K = ") and text[4:].isdigit() for text in texts) == 3


def test_measurements_are_drawn_as_they_are():
    figure = figures.latency_and_throughput({1: [10.0, 10.0, 40.0], 4: [20.0] * 3})
    assert {"100", "200"} <= set(rendered(figure)), "tokens/s = batch / median"


def test_every_start_is_a_dot():
    losses = torch.tensor([[0.5, 0.4], [0.1, 0.1]])
    figure = figures.losses_by_width(losses, (1, 4), enough=2.0)
    dots = [line for line in figure.axes[0].lines if len(line.get_ydata()) == 2]
    drawn = torch.tensor([list(dot.get_ydata()) for dot in dots[:2]])
    torch.testing.assert_close(drawn, losses, check_dtype=False)
    rendered(figure)
