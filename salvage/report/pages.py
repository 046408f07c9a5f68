"""Pages of the book that are made from data: the data dictionary and the STROBE checklist.

``make sync`` writes them; a test compares them with what is written.
"""

from pathlib import Path
from typing import Final

from salvage.cohort import schema, study
from salvage.display.show import escape
from salvage.paths import DATA, ROOT
from salvage.records import Reader

STROBE: Final = DATA / "strobe.yaml"
#: A page with a cell is a notebook in MyST Markdown, as a chapter is.
NOTEBOOK: Final = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
    format_version: 0.13
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---"""
CELL: Final = "```{{code-cell}}\n:tags: [remove-input]\n\n{code}\n```"
MADE: Final = "<!-- Made from {source} by `make sync`: edit that, not this page. -->"


def _table(caption: str, name: str, head: list[str], rows: list[list[str]]) -> str:
    """A MyST table; cells are Markdown already."""
    lines = ["| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows]]
    return "\n".join([f":::{{table}} {caption}", f":name: {name}", "", *lines, ":::"])


def _page(*parts: str) -> str:
    """A page of MyST Markdown, its parts with blank lines between them."""
    return "\n\n".join(parts) + "\n"


def data_dictionary() -> str:
    """The data dictionary in MyST Markdown, from the schema and the settings of a study."""
    parts = [
        "# Data dictionary",
        MADE.format(source="salvage/cohort/schema.py and salvage/cohort/study.py"),
        (
            "A cohort is a folder with two or three tables and a file of settings. Times are months"
            " since the first CAR-T infusion; a month is 30.4375 days. A blank cell means missing."
            " Required columns are marked with an asterisk."
        ),
    ]
    for table in schema.TABLES:
        need = "required" if table.required else "optional"
        rows = [
            [
                f"`{c.name}`" + (r"\*" if c.required else ""),
                escape(c.meaning + (f" ({c.unit})" if c.unit and c.kind != "month" else "")),
                escape(_expects(c)),
            ]
            for c in table.columns
        ]
        parts += [
            f"## {table.name}.csv",
            f"{table.row[0].upper()}{table.row[1:]} ({need}).",
            _table(
                f"Columns of {escape(table.name)}.",
                f"tab-dictionary-{table.name.replace('_', '-')}",
                ["Column", "Meaning", "Expected"],
                rows,
            ),
        ]
    default = study.Study()
    settings = [
        [f"`{key}`", escape(text), escape(_default(getattr(default, key)))]
        for key, text in study.MEANINGS.items()
    ]
    parts += [
        "## study.yaml",
        "The settings of a study; each has a default.",
        _table(
            "Settings of study\\.yaml.",
            "tab-dictionary-study",
            ["Setting", "Meaning", "Default"],
            settings,
        ),
    ]
    return _page(*parts)


def _expects(column: schema.Column) -> str:
    if column.codes:
        return "; ".join(
            f"{code} ({meaning})" if code != meaning else code
            for code, meaning in column.codes.items()
        )
    return column.expects


def _default(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value in ("", {}) else f"{value:g}" if isinstance(value, float) else str(value)


def strobe_items() -> list[dict[str, str]]:
    """The rows of ``data/strobe.yaml``."""
    items: list[dict[str, str]] = Reader(STROBE.name).load(STROBE)
    return items


def strobe() -> str:
    """The STROBE checklist in MyST Markdown, each item linked to where it is met."""
    rows = [
        [
            i["item"],
            escape(i["topic"]),
            escape(i["asks"]),
            (
                f"[]({'../chapters/' if i['page'][:2].isdigit() else ''}{i['page']}.md):"
                f" {escape(i['how'])}"
            ),
        ]
        for i in strobe_items()
    ]
    return _page(
        NOTEBOOK,
        "# STROBE checklist",
        MADE.format(source="data/strobe.yaml"),
        "## Where each item is met",
        "The items of the checklist for cohort studies {cite}`vonelm2007`, in our own words.",
        _table(
            "STROBE items and where they are met.",
            "tab-strobe",
            ["Item", "Topic", "Asks", "Where and how"],
            rows,
        ),
        "## What this study says of itself",
        CELL.format(
            code="from salvage.report import conduct\n"
            "from salvage.report.gate import book_cohort\n\n"
            "conduct.strobe(book_cohort())"
        ),
    )


PAGES: Final = {"data_dictionary.md": data_dictionary, "strobe.md": strobe}


def write(folder: Path = ROOT / "book") -> list[Path]:
    """Write every made page into ``folder`` and return their paths."""
    written = []
    for name, page in PAGES.items():
        path = folder / name
        path.write_text(page(), encoding="utf-8")
        written.append(path)
    return written


if __name__ == "__main__":
    for page in write():
        print(page.relative_to(ROOT))
