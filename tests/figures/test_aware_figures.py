"""Lecture 08's drawings show what they claim."""

import torch

from lib.figures.aware.rounding import error_by_step, staircase


def test_the_staircase_has_five_steps_and_both_slopes(legible):
    figure = staircase(0.5, -2, 2)
    value, by_w, by_s = figure.axes
    heights = torch.as_tensor(value.lines[0].get_ydata())
    assert heights.unique().tolist() == [-1, -0.5, 0, 0.5, 1]
    slope = torch.as_tensor(by_w.lines[0].get_ydata())
    w = torch.as_tensor(by_w.lines[0].get_xdata())
    assert torch.equal(slope == 1, w.abs() <= 1)
    pull = torch.as_tensor(by_s.lines[0].get_ydata())
    assert pull[w > 1].unique().tolist() == [2] and pull[w.abs() < 1].abs().max() <= 0.5
    legible(figure)


def test_an_error_stands_over_its_slopes_and_steps_are_marked(legible):
    steps = torch.linspace(0.1, 1, 40)
    error, slope = (steps - 0.5) ** 2, 2 * (steps - 0.5)
    figure = error_by_step(steps, error, slope, {"least": 0.5, "found": 0.6})
    top, bottom = figure.axes
    assert len(top.get_legend().get_texts()) == 2
    drawn = torch.as_tensor(bottom.lines[1].get_ydata())
    torch.testing.assert_close(drawn, slope[1:-1], atol=1e-3, rtol=0)
    legible(figure)
