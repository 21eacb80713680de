"""Markdown and TeX as HTML that is only text, and code in colours.

    source ─ formulas apart ─ mistune ─ pictures apart ─ bleach ─ both back ─→ HTML

The parsers are other people's, and a text can make each of them quadratic or raise. So
this runs in a child (renderer.py), and nowhere else.

Read in order: `markdown`, `Apart`, `formula`, `coloured`.
"""

import html
import re
import secrets
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import unquote

import bleach
import mistune
from latex2mathml.converter import convert
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers.python import PythonLexer

TAGS = {
    *("p", "h1", "h2", "h3", "h4", "h5", "h6", "em", "strong", "code", "pre", "hr"),
    *("ul", "ol", "li", "blockquote", "table", "thead", "tbody", "tr", "th", "td"),
    *("br", "del", "details", "summary", "a", "div", "span"),
}
MATHML = {
    *("math", "mrow", "mi", "mo", "mn", "mtext", "mspace", "msub", "msup", "msubsup"),
    *("mover", "munder", "munderover", "mfrac", "msqrt", "mroot", "mtable", "mtr"),
    *("mtd", "mstyle", "mpadded", "mphantom", "menclose"),
}
LOOKS = {
    *("display", "mathvariant", "stretchy", "fence", "form", "accent", "width"),
    *("movablelimits", "columnalign", "linethickness", "displaystyle", "scriptlevel"),
}
MAX_FORMULAS = 500  # of one cell; more is no answer
MATH = re.compile(
    r"(?P<code>```.*?```|`[^`\n]+`)|\$\$(?P<block>.+?)\$\$|"
    r"(?P<display>\\begin\{(?P<name>[a-z]+\*?)\}.+?\\end\{(?P=name)\})|"
    r"(?<![\\\w$])\$(?P<inline>[^\s$](?:[^$\n]*[^\s$\\])?)\$(?!\d)",
    re.DOTALL,
)
PICTURE = re.compile(r"<img\b[^>]*?\bsrc=[\"']?([^\"'\s>]*)[^>]*>", re.IGNORECASE)
TAG = r"<(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>"


PLUGINS = ("strikethrough", "table", "url", "task_lists", "def_list")  # nbconvert's


class Plain(mistune.HTMLRenderer):
    """Markdown's HTML, without what a page of text has no use for."""

    def block_code(self, code: str, info: str | None = None) -> str:
        """Code as text: its language would choose one of 500 lexers."""
        return f"<pre><code>{html.escape(code)}</code></pre>\n"


class Apart:
    """Pieces of HTML of our own, whose places in a text bleach sees as words.

    A place is named by a word that is drawn anew for every text, so that no text can
    name one.
    """

    def __init__(self) -> None:
        self.word, self.pieces = f"x{secrets.token_hex(8)}x", list[str]()

    def put(self, piece: str) -> str:
        """Keep a piece; the word that stands for it."""
        self.pieces.append(piece)
        return f"{self.word}{len(self.pieces) - 1}x"

    def back(self, text: str) -> str:
        """The text with its pieces; a place inside of a tag is none."""
        places = re.compile(f"{TAG}|{self.word}(\\d+)x")
        return places.sub(
            lambda found: self.pieces[int(found[1])] if found[1] else found[0], text
        )


@lru_cache(1000)  # most of a class's text is ours, the same for everyone
def without_pictures(source: str) -> str:
    """`markdown` of a text that brings no picture of its own."""
    return markdown(source, {})


def markdown(source: str, pictures: dict[str, str]) -> str:
    """HTML without script, style or form, and no picture but the given ones.

    `pictures` are data URIs by the name after `attachment:`, each shown once.
    """
    apart, left = Apart(), dict(pictures)

    def keep(found: re.Match[str]) -> str:
        if found["code"] or len(apart.pieces) >= MAX_FORMULAS:
            return found[0]
        block = found["block"] or found["display"]
        return apart.put(formula(block or found["inline"], bool(block)))

    def picture(found: re.Match[str]) -> str:
        name = unquote(html.unescape(found[1])).removeprefix("attachment:")
        if where := left.pop(name, None):
            return apart.put(f'<img alt="" src="{html.escape(where)}">')
        return html.escape(
            f"({'see above' if name in pictures else 'not shown'}: {name})"
        )

    plain = Plain(escape=False, allow_harmful_protocols=True)  # bleach comes after it
    render = mistune.create_markdown(renderer=plain, plugins=PLUGINS)
    text = PICTURE.sub(picture, str(render(MATH.sub(keep, source))))
    clean = bleach.clean(text, tags=TAGS, attributes={"a": ["href"]}, strip=True)
    return apart.back(clean)


def formula(tex: str, block: bool) -> str:
    """TeX as MathML; as it stands where it cannot be read."""
    escaped = tex.replace("<", r"\lt ").replace(">", r"\gt ")
    reader: Callable[..., str] = convert
    try:
        drawn = reader(escaped, display="block" if block else "inline")
    except Exception:  # it is a person's TeX: any slip may be in it
        return f"<code>{html.escape(tex)}</code>"
    return bleach.clean(drawn, tags=MATHML, attributes={"*": LOOKS}, strip=True)


def coloured(source: str) -> str:
    """Code as nbconvert colours it."""
    return highlight(source, PythonLexer(), HtmlFormatter())
