"""The printed book as PDF: Pandoc writes Typst, typst sets it with book/print/template.typ."""

import functools
import json
import os
import re
import shutil
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pypandoc
import typst

from book.extensions.print_ast import (
    Block,
    Book,
    Cells,
    Dialect,
    Inline,
    Numbered,
    attributes,
    para,
    plain,
    raw_block,
    raw_inline,
)
from book.extensions.print_cover import Part, PrintedCover
from book.extensions.print_widths import height, is_tight, widths, with_widths

TEMPLATE = Path(__file__).resolve().parent.parent / "print" / "template.typ"
FONTS = TEMPLATE.parent / "fonts"
# Width of the text, and the most that a figure may take of its height, in points: the page of
# template.typ.
TEXT_WIDTH = 453.5
FIGURE_HEIGHT = 560.0
# Lines, the head included, of a table that is not broken over pages.
SHORT = 28
# The most, in points, that may stay empty at the foot of a page before a table or figure.
GAP = 70.0
FLOATING = "floating.json"
STAGE = "print-"
ALMOST_ALL = 0.999
FIELD = re.compile(r"\.\w")
STANDARD: Final = "ua-1"
# What Typst says of a character that no font has.
NO_GLYPH: Final = "could not be displayed with font"
TEXT_FONT = "Libertinus Serif"
BUNDLED_HAN = "Book Han Serif"
# Serif first: they stand in a text set with serifs.
SYSTEM_HAN = (
    "Noto Serif CJK SC",
    "Noto Serif SC",
    "Source Han Serif SC",
    "Source Han Serif CN",
    "Songti SC",
    "STSong",
    "SimSun",
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "PingFang SC",
    "Microsoft YaHei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
)
HAN = re.compile(
    "[\u2e80-\u303f\u3040-\u30ff\u3100-\u312f\u31a0-\u31ef\u3200-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff]"
)


class TypstDialect(Dialect):
    """Functions of the template."""

    def joined(self, inlines: list[Inline]) -> list[Inline]:
        """A full stop and a letter after a link would be read as a field of the link."""
        line: list[Inline] = []
        for inline in inlines:
            if line and line[-1]["t"] not in ("Str", "Space") and FIELD.match(str(inline.get("c"))):
                line.append(raw_inline("typst", ";"))
            line.append(inline)
        return line

    def box(self, kind: str, title: list[Inline], body: list[Block]) -> list[Block]:
        return [
            raw_block("typst", f"#box-of({quoted(kind)}, ["),
            *([plain(title)] if title else []),
            raw_block("typst", "], ["),
            *body,
            raw_block("typst", "])"),
        ]

    def styled(self, style: str, body: list[Block]) -> list[Block]:
        return within(style, body)

    def figure(self, item: Numbered, caption: list[Inline]) -> list[Block]:
        assert item.image is not None
        width, height = fitted(*picture_size(item.image))
        source = (
            f"#picture({quoted(staged_name(item.image))}, {quoted(item.alt)}, "
            f"{width:.1f}pt, {height:.1f}pt)"
        )
        picture = plain([raw_inline("typst", source)])
        if not caption:
            return [para(picture["c"])]
        named = [None, [plain(caption)]]
        figure = {"t": "Figure", "c": [attributes(item.label), named, [picture]]}
        return within(f"unit({quoted(item.label)})", [figure]) if item.label else [figure]

    def table(self, table: list[Any], cells: Cells, notes: list[Block]) -> list[Block]:
        label = table[0][0]
        # Typst finds the widths of a table that fits; one that does not gets shares of the page.
        if sum(widths(cells)) > ALMOST_ALL:
            table = with_widths(table, cells)
        blocks: list[Block] = [{"t": "Table", "c": table}]
        if is_tight(cells):
            blocks = within("tight-table", blocks)
        if notes:
            blocks += within("table-notes", notes)
        if label and height(cells) <= SHORT:
            blocks = within(f"unit({quoted(label)})", blocks)
        return blocks


def within(function: str, body: list[Block]) -> list[Block]:
    """Blocks as the content that a function of the template is called with."""
    return [raw_block("typst", f"#{function}["), *body, raw_block("typst", "]")]


def quoted(text: str) -> str:
    """Text as a string of Typst."""
    clean = "".join(ch if ch.isprintable() else " " for ch in text)
    return json.dumps(clean, ensure_ascii=False)


@functools.cache
def picture_size(path: Path) -> tuple[float, float]:
    """Width and height of a picture in points.

    Raises:
        ValueError: the file has no size that can be read.
    """
    if path.suffix == ".svg":
        root = ET.parse(path).getroot()
        return points(root.get("width", "")), points(root.get("height", ""))
    from PIL import Image

    with Image.open(path) as image:
        dots = image.info.get("dpi", (96, 96))
        return image.width * 72 / dots[0], image.height * 72 / dots[1]


def picture_text(path: Path) -> str:
    """What a picture says in characters; most hold outlines of letters instead."""
    if path.suffix != ".svg" or b"<text" not in path.read_bytes():
        return ""
    texts = ET.parse(path).iter("{http://www.w3.org/2000/svg}text")
    return "".join("".join(text.itertext()) for text in texts)


def points(length: str) -> float:
    """A length of SVG in points.

    Raises:
        ValueError: it has another unit.
    """
    parts = re.fullmatch(r"([\d.]+)(pt|px|in|mm|cm)?", length)
    if not parts:
        raise ValueError(f"a length in pt, px, in, mm or cm was expected, not {length!r}")
    unit = {"pt": 1.0, "px": 0.75, "in": 72.0, "mm": 72 / 25.4, "cm": 72 / 2.54}
    return float(parts[1]) * unit[parts[2] or "px"]


def fitted(width: float, height: float) -> tuple[float, float]:
    """The size of a picture on paper: its own, or smaller so that it fits."""
    scale = min(1.0, TEXT_WIDTH / width, FIGURE_HEIGHT / height)
    return width * scale, height * scale


def staged_name(image: Path) -> str:
    """Name of a picture in the folder that Typst reads."""
    return f"pictures/{image.name}"


class Advice(str):
    """What a reader of the terminal can do for a better book; the book itself has no fault."""


@dataclass(frozen=True)
class Families:
    """Font families to ask for, and what must be told of them."""

    names: tuple[str, ...]
    problem: str = ""


def families(text: str, *, system: bool = True) -> Families:
    """Fonts for a text: the first Han font of the system that has all of its Chinese characters,
    else the one that travels with the project.
    """
    wanted = {ord(ch) for ch in HAN.findall(text)}
    if not wanted:
        return Families((TEXT_FONT,))
    best: tuple[int, str] = (len(wanted) + 1, "")
    for name, path, index in candidates(system):
        missing = len(wanted - characters(path, index))
        if not missing:
            return Families((TEXT_FONT, name))
        best = min(best, (missing, name))
    covered = {
        ch
        for name, path, index in candidates(system)
        if name == best[1]
        for ch in characters(path, index)
    }
    lacking = "".join(sorted(map(chr, wanted - covered)))
    return Families(
        (TEXT_FONT, best[1]),
        f"no font of this computer has these characters of the book: {lacking}. In the PDF, and in "
        "figures in Word, they show as empty boxes. Install a font with Chinese, such as Noto "
        "Serif CJK SC (Debian: fonts-noto-cjk), and build again",
    )


def candidates(system: bool) -> list[tuple[str, Path, int]]:
    """Han fonts in the order of preference: family, file, index in the file."""

    fonts = typst.Fonts(include_system_fonts=system, font_paths=[FONTS]).fonts()
    preferred = []
    for name in (*SYSTEM_HAN, BUNDLED_HAN):
        regular = sorted(
            (abs(f.weight - 400), f.path or "", f.index)
            for f in fonts
            if f.family == name and f.path and f.style == "normal"
        )
        preferred += [(name, Path(path), index) for _, path, index in regular[:1]]
    return preferred


@functools.cache
def characters(path: Path, index: int) -> frozenset[int]:
    """Code points that a font file has glyphs for."""
    from fontTools.ttLib import TTFont

    with TTFont(path, fontNumber=index, lazy=True) as font:
        return frozenset(font.getBestCmap())


def set_alone(text: str, files: Mapping[str, bytes], **options: Any) -> list[bytes]:
    """Output of a small Typst source that reads a few files: a PDF, or a PNG for each page."""

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, data in files.items():
            (folder / file).write_bytes(data)
        main = folder / "main.typ"
        main.write_text(text, encoding="utf-8")
        output = typst.compile(main, root=folder, **options)
    return output if isinstance(output, list) else [output]


def value(item: object) -> str:
    """A string, a list or a mapping of them as a value of Typst."""
    if isinstance(item, dict):
        return "(" + ", ".join(f"{key}: {value(v)}" for key, v in item.items()) + ")"
    if isinstance(item, Iterable) and not isinstance(item, str):
        return "(" + "".join(f"{value(part)}, " for part in item) + ")"
    return quoted(str(item))


def source(book: Book, cover: PrintedCover, parts: Sequence[Part], fonts: Sequence[str]) -> str:
    """The whole book in Typst."""

    body = pypandoc.convert_text(
        json.dumps(book.document()), "typst", format="json", extra_args=["--wrap=none"]
    )
    arguments = {
        "title": cover.title,
        "language": cover.language,
        "families": fonts,
        "lines": cover.lines(),
        "notice": cover.notice,
        "parts": [{"caption": part.caption, "label": part.label} for part in parts],
    }
    settings = "".join(f"  {name}: {value(item)},\n" for name, item in arguments.items())
    return f'#import "template.typ": *\n#show: book.with(\n{settings})\n\n{body}'


def stage(text: str, book: Book, cache: Path) -> Path:
    """Put all that Typst reads into one folder; the path of the main file.

    The folder is this process's own: one that outlives a killed build never meets another's files.
    """
    for old in cache.glob(f"{STAGE}*"):
        shutil.rmtree(old, ignore_errors=True)
    folder = cache / f"{STAGE}{os.getpid()}"
    (folder / "pictures").mkdir(parents=True)
    shutil.copyfile(TEMPLATE, folder / TEMPLATE.name)
    for item in book.numbered:
        if item.image is not None:
            shutil.copyfile(item.image, folder / staged_name(item.image))
    (folder / FLOATING).write_text("[]", encoding="utf-8")
    main = folder / "book.typ"
    main.write_text(text, encoding="utf-8")
    return main


def units_of(compiler: typst.Compiler) -> list[tuple[str, float, bool]]:
    """Of each table and figure that may float: its label, the points that are left of the page
    above it, and whether it has moved to the next page.
    """
    units: list[tuple[str, float, bool]] = json.loads(
        compiler.query("<units>", field="value", one=True)
    )
    return units


def arrange(compiler: typst.Compiler, folder: Path) -> None:
    """Let the tables and figures float that would leave a page half empty.

    One of them that does not fit goes to the next page. Where that leaves more than a little of
    the page, it is told to float to the head of the next page, and the text after it fills the
    page. That moves what follows in its chapter, so the pages are looked at again: each look lets
    the first one of every chapter float. Chapters begin on pages of their own.
    """
    floating: list[str] = []
    while True:
        first: dict[str, str] = {}
        for label, left, moved in units_of(compiler):
            if moved and left > GAP and label not in floating:
                first.setdefault(label.partition("--")[0], label)
        if not first:
            return
        floating += first.values()
        (folder / FLOATING).write_text(json.dumps(floating), encoding="utf-8")


def make(
    book: Book, cover: PrintedCover, parts: Sequence[Part], path: Path, cache: Path
) -> list[str]:
    """Write the PDF; what a reader of the terminal must be told.

    The PDF is tagged and checked against PDF/UA-1 by Typst. Where its checks do not allow that,
    the PDF is written without the standard, and the reason is told.

    Raises:
        typst.TypstError: the book cannot be set at all.
    """

    pictures = [item.image for item in book.numbered if item.image is not None]
    text = json.dumps(book.blocks, ensure_ascii=False) + str(cover)
    fonts = families(text + "".join(map(picture_text, pictures)))
    messages: list[str] = [Advice(fonts.problem)] if fonts.problem else []
    main = stage(source(book, cover, parts, fonts.names), book, cache)
    compiler = typst.Compiler(main, root=main.parent, font_paths=[FONTS])
    arrange(compiler, main.parent)
    try:
        data = compiler.compile(format="pdf", timestamp=0, pdf_standards=STANDARD)
    except typst.TypstError as error:
        data = compiler.compile(format="pdf", timestamp=0)
        # A character without a glyph keeps a PDF from the standard: one message is enough.
        if not (messages and NO_GLYPH in error.message):
            hints = " ".join(error.hints)
            messages.append(f"the PDF does not reach PDF/UA-1: {error.message} {hints}")
    part = path.with_name(f"{path.name}.part")
    assert isinstance(data, bytes)  # one file, in memory
    part.write_bytes(data)
    part.replace(path)
    return messages
