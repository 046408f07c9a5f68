"""The Chinese font that travels with the project: a subset of Noto Serif CJK SC.

``python -m book.extensions.print_font`` makes it again, on a computer that has the whole font
(Debian: fonts-noto-cjk), when the shipped text has new characters; a test says when that is. The
licence (book/print/fonts/OFL.txt) lets subsets be shared under another name.
"""

from pathlib import Path
from typing import Final

from book.extensions.print_pdf import BUNDLED_HAN, FONTS, HAN, candidates
from salvage.paths import ROOT

SOURCE_FAMILY: Final = "Noto Serif CJK SC"
FILE: Final = FONTS / "BookHanSerif-Regular.otf"
# Where the text of the book comes from.
SHIPPED: Final = (
    "chapters/*.md",
    "book/*.md",
    "book/*.bib",
    "data/*.yaml",
    "data/*.csv",
    "salvage/**/*.py",
)
# Punctuation that a Chinese title may hold, so that a small change of text needs no new font.
PUNCTUATION: Final = "，。、；：？！（）《》〈〉「」“”‘’…—·"
# Entries of the name table: family, unique id, full name, PostScript name, typographic family.
NAMES: Final = {
    1: BUNDLED_HAN,
    3: f"{BUNDLED_HAN} Regular, subset",
    4: f"{BUNDLED_HAN} Regular",
    6: FILE.stem,
    16: BUNDLED_HAN,
}


def shipped_characters(root: Path = ROOT) -> set[str]:
    """Chinese characters of the shipped text."""
    files = [file for pattern in SHIPPED for file in root.glob(pattern)]
    return {ch for file in files for ch in HAN.findall(file.read_text(encoding="utf-8"))}


def write_subset(source: Path, index: int, wanted: set[str], target: Path) -> None:
    """Write the glyphs of some characters of a font into a small font of another name."""
    from fontTools import subset
    from fontTools.ttLib import TTFont

    options = subset.Options(hinting=False, layout_features=[], name_IDs=["*"], notdef_outline=True)
    with TTFont(source, fontNumber=index, recalcTimestamp=False) as font:
        subsetter = subset.Subsetter(options)
        subsetter.populate(text="".join(sorted(wanted)))
        subsetter.subset(font)
        table = font["name"]
        table.names = [
            record
            for record in table.names
            if record.nameID in {0, 2, 13, 14} and record.langID == 0x409
        ]
        for identifier, name in NAMES.items():
            table.setName(name, identifier, 3, 1, 0x409)
        _rename_outlines(font)
        target.parent.mkdir(parents=True, exist_ok=True)
        font.save(target)


def _rename_outlines(font: object) -> None:
    """The outlines of an OpenType font hold its names once more."""
    outlines = font["CFF "].cff  # type: ignore[index]  # fontTools has no types
    outlines.fontNames = [FILE.stem]
    top = outlines.topDictIndex[0]
    top.FamilyName, top.FullName = BUNDLED_HAN, f"{BUNDLED_HAN} Regular"


def main() -> None:
    """Make the subset again.

    Raises:
        SystemExit: the whole font is not installed.
    """
    fonts = [
        (path, index) for name, path, index in candidates(system=True) if name == SOURCE_FAMILY
    ]
    if not fonts:
        raise SystemExit(f"{SOURCE_FAMILY} is not installed (Debian: fonts-noto-cjk)")
    write_subset(*fonts[0], shipped_characters() | set(PUNCTUATION), FILE)


if __name__ == "__main__":
    main()
