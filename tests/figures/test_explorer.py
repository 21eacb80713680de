"""The explorer answers what is typed; driven here without a browser."""

import math
import re

import matplotlib.pyplot as plt
import pytest

from lib.figures import explorer
from lib.figures.explorer import explore, parse, place_svg, read, reading_figure
from lib.formats import FP4_E2M1, FP8_E4M3, FP8_E5M2, FP16, FP32, neighbours


def open_explorer():
    box = explore()
    row, shown = box.children
    chooser, number, back, forth = row.children
    return chooser, number, back, forth, shown


def bits_shown(shown):
    return "".join(re.findall(r"<span[^>]*>([01])</span>", shown.value))


def test_it_opens_on_pi():
    *_, shown = open_explorer()
    assert bits_shown(shown) == "01000101"
    assert "<b>3.25</b>" in shown.value
    assert "3.0 ≤ x ≤ 3.25" in shown.value


def test_it_follows_every_key_and_survives_half_typed_numbers():
    chooser, number, _, _, shown = open_explorer()
    assert number.continuous_update
    chooser.value = FP16
    for typed in ("", "-", "-1", "-1e", "-1e-", "-1e-7"):
        number.value = typed
        if typed in ("", "-", "-1e", "-1e-"):
            assert "is not a number yet" in shown.value
    assert bits_shown(shown) == "1000000000000010"
    assert "subnormal" in shown.value
    number.value = "<script>"
    assert "<script>" not in shown.value


def test_every_format_answers_to_every_kind_of_number():
    chooser, number, _, _, shown = open_explorer()
    for _, fmt in chooser.options:
        chooser.value = fmt
        for typed in ("0", "-0", "1/3", "π", "1e-400", "1e300", "-inf", "nan", "−2.5"):
            number.value = typed
            if typed == "nan" and fmt.specials == "none":
                assert "has no NaN" in shown.value
            else:
                assert len(bits_shown(shown)) == fmt.bits, (fmt.name, typed)


def test_the_arrows_walk_through_all_numbers():
    chooser, number, back, forth, shown = open_explorer()
    chooser.value, number.value = FP4_E2M1, "-6"
    walked = [-6.0]
    for _ in range(20):
        forth.click()
        walked.append(parse(number.value))
    half = [0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
    assert list(dict.fromkeys(walked)) == [-v for v in half[::-1]] + [0.0, *half]
    back.click()
    assert number.value == "4.0" and ", exact" in shown.value
    number.value = "nonsense"
    forth.click()
    assert number.value == "nonsense"


@pytest.mark.parametrize(
    ("x", "fmt", "kind"),
    [
        (1.0, FP32, "normal, exact"),
        (0.1, FP32, "normal"),
        (1e-40, FP32, "subnormal"),
        (0.0, FP16, "zero"),
        (1e-9, FP16, "underflow: too small, stored as zero"),
        (1e6, FP16, "overflow: beyond 65504, stored as inf"),
        (1e6, FP8_E4M3, "overflow: beyond 448, stored as nan"),
        (450.0, FP8_E4M3, "overflow: beyond 448, stored as the largest"),
        (-1e6, FP4_E2M1, "overflow: beyond 6, stored as the largest"),
        (math.nan, FP16, "not a number"),
    ],
)
def test_a_reading_names_what_happened(x, fmt, kind):
    assert read(x, fmt).kind == kind


def test_the_formula_gives_the_stored_number():
    for fmt in (FP8_E4M3, FP8_E5M2, FP4_E2M1):
        for x in (3.3, -0.7, 0.01, 0.0, 1e-4):
            reading = read(x, fmt)
            sign, exponent, whole, top, bottom = re.fullmatch(
                r"([+−])2\^(-?\d+) × \((\d) \+ (\d+)/(\d+)\)", reading.formula
            ).groups()
            value = 2.0 ** int(exponent) * (int(whole) + int(top) / int(bottom))
            assert reading.stored == (-value if sign == "−" else value)


@pytest.mark.parametrize(
    ("x", "fmt", "said"),
    [
        (3.14, FP8_E4M3, "error +0.11, 3.503% of x, 0.440 gaps"),
        (-2.9, FP8_E4M3, "error -0.1, 3.448% of x, 0.400 gaps"),
        (3.0, FP8_E4M3, "error +0, 0.000% of x"),
        (0.0, FP8_E4M3, "error +0"),
        (7.0, FP4_E2M1, "error -1, 14.286% of x"),
        (1e6, FP16, "error: none to speak of"),
        (math.nan, FP16, "error: none to speak of"),
    ],
)
def test_the_error_is_told_in_x_and_in_gaps(x, fmt, said):
    assert read(x, fmt).error == said


def test_the_line_has_a_stroke_a_number_and_a_thick_one_where_x_is_stored():
    reading = read(3.14, FP8_E4M3)
    drawn = place_svg(reading)
    strokes = re.findall(r'<rect x="([\d.]+)" y="28" width="(\d)"', drawn)
    middles = [float(left) + int(width) / 2 for left, width in strokes]
    first, last = reading.around[0], reading.around[-1]
    share = [(value - first) / (last - first) for value in reading.around]
    assert middles == pytest.approx([50 + 560 * s for s in share], abs=0.06)
    thick = [v for v, (_, w) in zip(reading.around, strokes, strict=True) if w == "5"]
    assert thick == [reading.stored] == [3.25]
    (tip,) = re.findall(r'<path d="M([\d.]+) ', drawn)
    at = (3.14 - first) / (last - first)
    assert float(tip) + 6 == pytest.approx(50 + 560 * at, abs=0.06)
    assert place_svg(read(math.nan, FP16)) == ""


def test_around_x_stand_its_neighbours():
    for x in (3.14, -0.3, 0.0, 7e-3, 500.0, -math.inf):
        reading = read(x, FP8_E4M3)
        assert list(reading.around) == sorted(set(reading.around))
        for value in (reading.below, reading.above):
            assert not math.isfinite(value) or value in reading.around
        for low, high in zip(reading.around, reading.around[1:], strict=False):
            assert neighbours((low + high) / 2, FP8_E4M3) == (low, high)


def test_numbers_as_people_type_them():
    assert parse(" 1/3 ") == 1 / 3
    assert parse("Pi") == math.pi
    assert parse("−1e3") == -1000.0
    for text in ("1/0", "three", "1e", "/"):
        with pytest.raises(ValueError, match="is not a number yet"):
            parse(text)


def test_the_still_picture_shows_the_same_bits_and_number():
    for x, fmt in ((math.pi, FP8_E4M3), (1e9, FP16), (-0.0, FP4_E2M1)):
        figure = reading_figure(x, fmt)
        texts = [text.get_text() for ax in figure.axes for text in ax.texts]
        bits = read(x, fmt).bits.replace(" ", "")
        assert "".join(t for t in texts if t in ("0", "1"))[: fmt.bits] == bits
        figure.canvas.draw()
        plt.close(figure)
    with pytest.raises(ValueError, match="NaN"):
        reading_figure(math.nan, FP16)


def test_the_choices_are_the_presets():
    assert len({choice.name for choice in explorer.CHOICES}) == 10
