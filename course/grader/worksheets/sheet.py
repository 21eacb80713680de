"""A CSV file of an LMS, and the same file again with some cells changed.

    bytes ─ BOM, encoding ─ separator, line ends ─ rows of cells ─ the same way back

What is not changed is written with the value that it had, line breaks inside quotes
included.  Read in order: `Sheet.read`, `Sheet.written`.
"""

import csv
import io
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from dataclasses import dataclass
from pathlib import Path

MAX_BYTES = 32 << 20
BOMS = {BOM_UTF8: "utf-8", BOM_UTF16_LE: "utf-16-le", BOM_UTF16_BE: "utf-16-be"}
SEPARATORS = ",;\t"  # Excel's, by country
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs what begins so


@dataclass(frozen=True)
class Sheet:
    """Rows of cells, the header first, and how the file had them."""

    rows: list[list[str]]
    separator: str = ","
    end: str = "\r\n"
    bom: bytes = b""

    @classmethod
    def read(cls, path: Path) -> "Sheet":
        """The file at `path`. ValueError where it is no CSV file that can be kept."""
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"{path} has more than {MAX_BYTES >> 20} MB")
        return cls.parse(path.read_bytes(), str(path))

    @classmethod
    def parse(cls, content: bytes, name: str = "the sheet") -> "Sheet":
        """The sheet in `content`; `name` is what a ValueError calls it.

        It is raised for another encoding than UTF-8 or a BOM's, for an Excel file, and
        for rows that are not as long as the header.
        """
        bom = next((mark for mark in BOMS if content.startswith(mark)), b"")
        try:
            text = content[len(bom) :].decode(BOMS.get(bom, "utf-8"))
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{name} is no text in UTF-8 ({error.reason} at byte {error.start}): "
                "take the file as the LMS gave it, or save it as CSV UTF-8"
            ) from None
        if text[:2].startswith("PK"):
            raise ValueError(f"{name} is an Excel file or a zip: export it as CSV")
        csv.field_size_limit(MAX_BYTES)  # a comment may be long
        separator = separator_of(text)
        try:
            stream = io.StringIO(text, newline="")
            rows = list(csv.reader(stream, delimiter=separator, strict=True))
        except csv.Error as error:
            raise ValueError(f"{name} is no CSV file: {error}") from None
        if len(rows) < 2 or len(rows[0]) < 2:
            raise ValueError(f"{name} has no header of columns and rows below it")
        head = len(rows[0])
        for number, row in enumerate(rows, 1):
            if row and len(row) != head:
                raise ValueError(
                    f"{name}: row {number} has {len(row)} cells and its header {head}"
                )
        return cls(rows, separator, "\r\n" if "\r\n" in text else "\n", bom)

    def written(self, cells: dict[tuple[int, int], str]) -> bytes:
        """The file with `cells`, {(row, column): value}, in place of what was there."""
        rows = [list(row) for row in self.rows]
        for (row, column), value in cells.items():
            rows[row][column] = value
        stream = io.StringIO(newline="")
        writer = csv.writer(stream, delimiter=self.separator, lineterminator=self.end)
        writer.writerows(rows)
        text = stream.getvalue()
        return self.bom + text.encode(BOMS.get(self.bom, "utf-8"))

    def formulas(self) -> int:
        """How many cells a spreadsheet might run when it opens the file."""
        cells = (cell for row in self.rows for cell in row)
        suspects = (c for c in cells if c.startswith(FORMULA) and c.strip() != "-")
        return sum(number_of(cell) is None for cell in suspects)


def separator_of(text: str) -> str:
    """What parts the header's cells; quoted ones may hold the others."""
    counts = {}
    for separator in SEPARATORS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        try:
            counts[separator] = len(next(reader, []))
        except csv.Error:
            counts[separator] = 0
    return max(counts, key=lambda separator: counts[separator])


def number_of(cell: str) -> float | None:
    """The number in a cell, with a decimal point or comma; None where there is none."""
    text = cell.strip().replace(",", ".")
    plain = text.lstrip("+-").replace(".", "", 1)
    return float(text) if plain.isascii() and plain.isdecimal() else None
