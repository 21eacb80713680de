"""The fates of a histogram are those of its numbers; intervals cover as they say."""

import pytest
import torch

from lib.figures.precision.histogram import bars, fates, panels, slide_tokens
from lib.figures.precision.rates import courses, interval, rates
from lib.formats import FP8_E4M3, FP16
from lib.train.precision.mixed_precision import binades, lost


@pytest.mark.parametrize("fmt", [FP16, FP8_E4M3], ids=lambda f: f.name)
@pytest.mark.parametrize("shift", [-11, 0, 9])
def test_fates_are_what_the_cast_does(fmt, shift):
    draw = torch.Generator().manual_seed(0)
    g = torch.randn(5000, generator=draw)
    g = torch.ldexp(g, torch.randint(-30, 20, g.shape, generator=draw))
    found = fates(binades(g), fmt, shift)
    assert sum(found.values()) == pytest.approx(1)
    assert found["zero"] == pytest.approx(lost(binades(g), fmt, 2.0**shift))
    moved = torch.ldexp(g, torch.tensor(shift)).abs()
    small = (moved < fmt.smallest_normal) & (moved > fmt.smallest_subnormal / 2)
    assert found["subnormal"] == pytest.approx(small.float().mean().item())
    beyond = moved >= 2.0 ** (fmt.max_exponent + 1)
    assert found["beyond"] == pytest.approx(beyond.float().mean().item())


def test_the_slider_moves_the_histogram():
    counts = {-20: 3, -30: 1, -150: 7}
    assert "zero 25.0%" in bars(counts, FP16, 0)
    assert "zero 100.0%" in bars(counts, FP16, -6)
    box = slide_tokens(counts, FP16, 512)
    slider, shown = box.children
    slider.index = 6
    assert "zero 100.0%" in shown.value and slider.label == "32,768 tokens"


def test_titles_say_what_is_lost():
    figure = panels({-20: 3, -30: 1}, FP16, {"once": 0, "64 times": -6})
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["once: 25% become zero", "64 times: 100% become zero"]


def test_intervals_are_those_of_the_literature():
    """Brown, Cai and DasGupta; and 0 out of n is told apart from 0."""
    assert interval(0, 70) == pytest.approx((0, 0.0520), abs=1e-3)
    assert interval(18, 188) == pytest.approx((0.0614, 0.1461), abs=1e-3)
    low, high = interval(50, 100)
    assert low == pytest.approx(1 - high) == pytest.approx(0.4038, abs=1e-3)
    for n in range(1, 200):
        assert interval(0, n)[0] == 0 and interval(n, n)[1] == 1


def test_intervals_cover():
    draw = torch.Generator().manual_seed(0)
    p, n = 0.1, 128
    counts = (torch.rand(4000, n, generator=draw) < p).sum(1).tolist()
    ends = [interval(k, n) for k in counts]
    share = sum(low <= p <= high for low, high in ends) / len(ends)
    assert 0.92 < share < 0.98


def test_figures_show_every_arm_and_every_run():
    counted = {a: {"0.1": (1, 10), "0.2": (k, 10)} for k, a in enumerate("xy")}
    figure = rates(counted, xlabel="rate", ylabel="diverged")
    assert [t.get_text() for t in figure.legends[0].texts] == ["x", "y"]
    runs = [[4.0, 2.0], [4.0, 3.3], [4.0, None]]
    figure = courses({"a": runs}, every=10, learned=3.0, level=("frequencies", 3.3))
    colours = [line.get_color() for line in figure.axes[0].lines[:3]]
    assert colours[0] != colours[1] == colours[2]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: interval(3, 2), "3 out of 2"),
        (lambda: interval(0, 0), "0 out of 0"),
        (lambda: fates({-150: 4}, FP16, 0), "among 4"),
    ],
)
def test_what_makes_no_sense_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
