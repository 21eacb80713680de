"""A picture is what its bytes say, and as large as its header says."""

import base64
import io

import pytest
from PIL import Image

from course.grader.judging.pictures import MAX_ATTACHED, attached, checked, pulled


def picture(kind, size=(3, 2)):
    content = io.BytesIO()
    Image.new("RGB", size).save(content, kind)
    return content.getvalue()


def encoded(content):
    return base64.b64encode(content).decode()


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_png_and_jpeg_are_kept_as_they_are(kind):
    text = encoded(picture(kind))
    assert checked(f"image/{kind}", text) == text
    lines = [f"{text[:40]}\n", text[40:]]
    assert checked(f"image/{kind}", lines) == text, "as nbformat may store it"


def claiming(kind, width, height):
    """A small picture whose header says that it is large."""
    content = bytearray(picture(kind))
    if kind == "png":
        content[16:24] = width.to_bytes(4) + height.to_bytes(4)
    else:
        at = content.index(b"\xff\xc0")
        content[at + 5 : at + 9] = height.to_bytes(2) + width.to_bytes(2)
    return encoded(bytes(content))


@pytest.mark.parametrize("kind", ["png", "jpeg"])
@pytest.mark.parametrize(
    "size", [(40_000, 40_000), (1, 40_000), (6_000, 6_000), (0, 9)]
)
def test_a_header_that_asks_for_too_much_is_refused(kind, size):
    assert checked(f"image/{kind}", claiming(kind, *size)) is None
    assert checked(f"image/{kind}", claiming(kind, 4_000, 3_000)), "a photograph's"


@pytest.mark.parametrize(
    "content",
    [
        b"<svg onload=alert(1)>",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0\0\0" * 9,
        picture("gif"),
        b"",
    ],
)
def test_what_is_no_such_picture_is_none(content):
    for kind in ("image/png", "image/jpeg", "image/svg+xml"):
        assert checked(kind, encoded(content)) is None


def test_a_jpeg_of_a_thousand_scans_is_none():
    content = picture("jpeg") + b"\xff\xda\0\2" * 1_000
    assert checked("image/jpeg", encoded(content)) is None


@pytest.mark.parametrize(
    "claimed", [None, [], {"x": 3}, {"x": {"image/png": {}}}, {"x" * 999: {}}]
)
def test_attachments_of_the_wrong_shape_are_none(claimed):
    assert attached(claimed) == {}


def test_there_are_so_many_of_a_cell():
    text = encoded(picture("png"))
    many = {str(n): {"image/png": text, "text/html": "<script>"} for n in range(99)}
    kept = attached(many)
    assert len(kept) == MAX_ATTACHED
    assert all(bundle == {"image/png": text} for bundle in kept.values())


def test_a_picture_in_the_text_is_taken_apart():
    text = encoded(picture("png"))
    source, every = pulled(f"see ![x](data:image/png;base64,{text})", None)
    assert source == "see ![x](attachment:in-the-text-1)"
    assert attached(every) == {"in-the-text-1": {"image/png": text}}
