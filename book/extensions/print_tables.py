"""Every table and figure of the book as a file of its own, for pasting into a manuscript."""

import csv
import io
import shutil
from collections.abc import Sequence
from pathlib import Path

from book.extensions import print_word
from book.extensions.print_ast import Numbered
from book.extensions.print_cover import PrintedCover
from book.extensions.print_pdf import picture_size, set_alone
from salvage.cohort.cells import guarded


def file_stem(number: str) -> str:
    """Name of a file from a number: ``Table 1.2`` is in ``table-01-02``, so that names sort."""
    kind, _, digits = number.partition(" ")
    return "-".join([kind.lower(), *(part.zfill(2) for part in digits.split("."))])


def write(items: Sequence[Numbered], cover: PrintedCover, folder: Path) -> None:
    """Write each numbered table as .docx and .csv, each numbered figure as .svg and .pdf.

    The folder holds nothing else afterwards.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for item in items:
        path = folder / file_stem(item.number) if item.number else None
        if path and item.kind == "table":
            text = as_csv(item.cells)
            # The mark at the start tells Excel that this is UTF-8.
            path.with_suffix(".csv").write_text(text, encoding="utf-8-sig", newline="")
            print_word.write(list(item.blocks), path.with_suffix(".docx"), cover, folder)
        elif path and item.image is not None:
            shutil.copyfile(item.image, path.with_suffix(item.image.suffix))
            write_pdf(item, path.with_suffix(".pdf"))


def as_csv(cells: Sequence[Sequence[str]]) -> str:
    """Rows of cells as CSV in which no spreadsheet finds a formula."""
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([guarded(cell) for cell in row] for row in cells)
    return stream.getvalue()


def write_pdf(item: Numbered, path: Path) -> None:
    """A figure as a PDF of its own size."""
    assert item.image is not None
    width, height = picture_size(item.image)
    text = (
        "#set page(width: auto, height: auto, margin: 0pt)\n#set document(date: none)\n"
        f'#image("{item.image.name}", width: {width:.2f}pt, height: {height:.2f}pt)'
    )
    files = {item.image.name: item.image.read_bytes()}
    path.write_bytes(set_alone(text, files, format="pdf", timestamp=0)[0])
