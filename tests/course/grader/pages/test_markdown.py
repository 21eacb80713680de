"""Whatever a text says, its HTML is text, and no text can name a place of ours."""

import re

import pytest

from course.grader.pages.markdown import markdown

PNG = "data:image/png;base64,iVBORw0KGgo="


def test_a_picture_is_shown_where_it_was_pasted_and_once():
    html = markdown("see ![a b.png](attachment:a%20b.png) so", {"a b.png": PNG})
    assert html.count(f'<img alt="" src="{PNG}">') == 1
    twice = markdown("![x](attachment:x) ![x](attachment:x)", {"x": PNG})
    assert twice.count("<img") == 1
    assert "(see above: x)" in twice


@pytest.mark.parametrize(
    "source",
    [
        "![image.png](attachment:image.png)",
        "![x](https://example.org/pixel.png)",
        '<img src="attachment:gone.png" width=400>',
        "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    ],
)
def test_a_picture_that_is_not_there_is_a_plain_note(source):
    html = markdown(source, {})
    assert "(not shown: " in html
    assert "<img" not in html


def test_a_picture_with_a_size_of_its_own_is_shown():
    html = markdown('<img src="attachment:x.png" width="400">', {"x.png": PNG})
    assert f'src="{PNG}"' in html


@pytest.mark.parametrize("mark", ["&#xE000;0&#xE000;", "&#57344;1", "\ue0000\ue000"])
def test_an_entity_for_a_private_character_names_no_formula(mark):
    html = markdown(f"{mark} and $x$", {})
    assert html.count("<math") == 1


def test_a_formula_in_a_link_s_address_does_not_end_the_attribute():
    html = markdown("[a]($x$) and $y$", {})
    assert html.count("<math") == 1
    assert re.fullmatch(
        r'<a href="\w+">', html[html.index("<a") : html.index(">a<") + 1]
    )


@pytest.mark.parametrize(
    "source",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "<a href='x' onclick='alert(1)'>y</a>",
        "$\\text{<script>alert(1)</script>}$",
        "<svg onload=alert(1)>",
        "```html\n<script>alert(1)</script>\n```",
    ],
)
def test_nothing_of_it_can_run(source):
    html = markdown(source, {})
    assert not re.search(r"<(script|svg)|<[^>]*(onclick|onload|javascript:)", html)


def test_an_equation_of_its_own_is_one():
    html = markdown("\\begin{align}a &= b \\\\ c &= d\\end{align}", {})
    assert "<mtable" in html
