"""A text costs a page at most what the renderer allows, and the next page nothing."""

import resource

import psutil
import pytest

from course.grader.pages.renderer import MAX_PAGE, MAX_TAGS, PAGE_S, Piece, Renderer

HONEST = Piece("markdown", "**So** it is, since $a<b$.")
ENDLESS = Piece("markdown", "<div>" * 9_000)  # quadratic, in the sanitizer
HUNGRY = Piece("markdown", r"$\begin{matrix}" + "a&" * 24_000 + r"\end{matrix}$")


@pytest.fixture(scope="module")
def renderer():
    renderer = Renderer()
    yield renderer
    renderer.close()


def taken():
    """The processor time of all children that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def test_markdown_and_mathematics_become_text(renderer):
    (html,) = renderer.render([HONEST])
    assert "<strong>So</strong> it is" in html
    assert "<math" in html
    assert "<b>" not in html, "it is less than b"


def test_a_piece_that_takes_too_long_costs_itself_only(renderer):
    before, slow, after = renderer.render([HONEST, ENDLESS, HONEST])
    assert (before, slow) == (after, None)
    assert "<strong>" in before


def test_a_page_of_slow_pieces_ends():
    renderer, before = Renderer(), taken()
    many = [Piece("markdown", f"{n}{ENDLESS.source}") for n in range(50)]
    assert renderer.render([*many, HONEST]) == [None] * 51, "the page's time is used up"
    assert renderer.render([HONEST])[0], "the next page has time of its own"
    renderer.close()
    assert taken() - before < 5 * PAGE_S, "processor time; starting a child is a part"


def test_a_page_has_a_size(renderer):
    bulky = [Piece("markdown", f"{n} " + "$x$ " * 400) for n in range(200)]
    made = renderer.render(bulky)
    kept = [html for html in made if html is not None]
    assert sum(map(len, kept)) <= MAX_PAGE
    assert 0 < len(kept) < len(bulky)
    assert made[: len(kept)] == kept, "the page is there up to where it is too much"


def test_a_page_has_so_many_tags(renderer):
    made = renderer.render([Piece("code", f"a{n}" + ".b" * 9_000) for n in range(9)])
    assert sum(html.count("<") for html in made if html) <= MAX_TAGS
    assert made[0] is not None


def test_a_child_that_is_killed_is_replaced(renderer):
    renderer.render([HONEST])
    renderer.child.kill()
    assert renderer.render([HONEST, HONEST])[1], "at the latest the second is there"


def test_a_text_is_answered_by_its_own_html(renderer):
    pieces = [Piece("markdown", f"number {n}") for n in range(5)]
    made = renderer.render([*pieces[:2], ENDLESS, *pieces[2:]])
    assert made.pop(2) is None
    assert made == [f"<p>number {n}</p>\n" for n in range(5)]


def test_closing_it_leaves_no_process():
    renderer = Renderer()
    renderer.render([HONEST])
    renderer.close()
    assert not psutil.pid_exists(renderer.child.pid)
