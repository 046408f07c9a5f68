"""A book of a workbook whose every text is markup, a formula, a template or Chinese: all is text.

The workbook is the template, filled in as a data manager does, with dates. Chromium opens every
page of the whole book: nothing runs, and nothing is loaded or linked that a cell asks for.
"""

import datetime as dt
import html
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import cycle
from pathlib import Path

import openpyxl
import pytest
from playwright.sync_api import sync_playwright
from pypdf import PdfReader

from salvage import words
from salvage.cohort import template
from salvage.display.figures import style
from salvage.paths import COHORT_VARIABLE, ROOT
from tests.scratch_book import BUILD_FLAGS

pytestmark = pytest.mark.slow
REGIMENS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "[x](javascript:alert(3))",
    "![x](http://evil.example/x.png)",
    "{glue}`patients`",
    "{{ x }}",
    "=cmd()",
    "$x^2$",
    "`code` 100%",
    "#set page(fill: red)",
    "\\input{x}",
    "a|b",
    "# Heading",
    "格菲妥单抗",
)
TITLE = "复发 <script>alert(4)</script> {{ title }} $x$"
CENTRE = "北京医院 [c](javascript:alert(5)) =cmd()"
LABEL = "<b onclick=alert(6)>抗体</b> `x`"
TERM = "<script>alert(7)</script> | =cmd()"
INFUSION = dt.date(2022, 3, 1)


def days(number: int) -> dt.date:
    return INFUSION + dt.timedelta(number)


@pytest.fixture(scope="module")
def workbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = template.write_workbook(tmp_path_factory.mktemp("hospital") / "cohort.xlsx")
    book = openpyxl.load_workbook(path)
    category = cycle(words.CATEGORIES)
    response = cycle(words.RESPONSES)

    def add(sheet: str, **cells: object) -> None:
        heads = [cell.value for cell in book[sheet][1]]
        row = book[sheet].max_row + 1
        for name, value in cells.items():
            cell = book[sheet].cell(row, heads.index(name) + 1)
            cell.value = value
            if isinstance(value, str):
                cell.data_type = "s"  # as Excel keeps what was typed after an apostrophe

    for i, regimen in enumerate(REGIMENS):
        patient = f"病人<{i}>"
        times = {"relapse_date": days(60 + 9 * i), "os_date": days(300 + 20 * i), "died": i % 3 > 0}
        add("patients", patient_id=patient, infusion_date=INFUSION, histology=regimen, **times)
        for line in (1, 2):
            what = {"category": next(category), "best_response": next(response)}
            start = days(60 + 9 * i + 40 * line)
            add("salvage", patient_id=patient, line=line, regimen=regimen, start_date=start, **what)
        add("adverse_events", patient_id=patient, line=1, term=TERM, grade=1 + i % 4)
    settings = {"title": TITLE, "centre": CENTRE, "label of bispecific": LABEL}
    for key, cell, *_ in book["settings"].iter_rows():
        if key.value in settings:
            cell.value = settings[key.value]
    book.save(path)
    return path


@pytest.fixture(scope="module")
def built(workbook: Path) -> Path:
    """The folder of the whole book."""
    folder = workbook.parent
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", "."]
    done = subprocess.run(
        [*command, "--path-output", str(folder), *BUILD_FLAGS],
        cwd=ROOT,
        env=os.environ | {COHORT_VARIABLE: str(workbook)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
    )
    warned = [line for line in done.stdout.splitlines() if "WARNING" in line or "Error" in line]
    assert done.returncode == 0, warned
    return folder / "_build"


class Active(HTMLParser):
    """Everything on a page that would do something which a cell says."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            theirs = re.search(r"alert|evil\.example|javascript:", value or "")
            if theirs and (name.startswith("on") or name in ("href", "src", "srcset", "action")):
                self.found.append((tag, name, value))


def pages(built: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted((built / "html").rglob("*.html")):
        yield path, path.read_text(encoding="utf-8")


def test_no_page_holds_markup_of_a_cell(built: Path) -> None:
    shown = ""
    for path, text in pages(built):
        reader = Active()
        reader.feed(text)
        assert reader.found == [], path.name
        assert not re.search(r"<script>alert|<b onclick|<img src=x", text), path.name
        shown += html.unescape(re.sub(r"<[^>]+>", "", text))
    for cell in (*REGIMENS, TITLE, CENTRE, LABEL, TERM):
        assert cell in shown, cell


def test_nothing_runs_and_nothing_is_loaded(built: Path, chromium: str) -> None:
    said: list[str] = []
    outside: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.on(
            "request",
            lambda r: None if r.url.startswith(("file:", "data:")) else outside.append(r.url),
        )
        for path, _ in pages(built):
            page.goto(path.as_uri())
        page.goto(
            (built / "html" / "search.html").as_uri() + "?q=%3Cscript%3Ealert(8)%3C/script%3E"
        )
        page.wait_for_timeout(500)
        browser.close()
    assert (said, outside) == ([], [])


def test_pdf_and_word_show_it_as_text(built: Path) -> None:
    reader = PdfReader(built / "print" / "book.pdf")
    pdf = "".join("".join(page.extract_text() for page in reader.pages).split())
    with zipfile.ZipFile(built / "print" / "book.docx") as archive:
        links = "".join(archive.read(n).decode() for n in archive.namelist() if n.endswith(".rels"))
        body = archive.read("word/document.xml").decode()
        properties = archive.read("docProps/core.xml").decode()
    word = "".join(html.unescape(re.sub(r"<[^>]+>", "", body)).split())
    for cell in (*REGIMENS, TITLE, CENTRE, LABEL, TERM):
        # A narrow column breaks words at its own places.
        plain = "".join(cell.split())
        assert plain in word, cell
        assert plain in pdf.replace("\u00ad", "").replace("\u200b", ""), cell
    assert TITLE in html.unescape(properties)
    assert not re.search(r"javascript|evil", links)
    for page in reader.pages:
        for note in page.get("/Annots", ()):
            assert not re.search(r"javascript|evil", str(note.get_object().get("/A", "")))


def test_figures_show_it_as_text(built: Path) -> None:
    drawn = {path: path.read_text(encoding="utf-8") for path in (built / "figures").glob("*.svg")}
    assert len(drawn) > 20
    for path, text in drawn.items():
        # A picture holds its texts once more as comments: they are read by nobody.
        for element in ET.fromstring(text).iter():
            kind = element.tag.rpartition("}")[2]
            assert kind not in ("script", "image", "foreignObject", "a"), path.name
            for name, value in element.attrib.items():
                assert not name.startswith("on"), path.name
                assert "href" not in name or value.startswith("#"), path.name
    if len(style.fonts()) > 2:  # with a Chinese font, letters are outlines
        assert not any("<text" in text for text in drawn.values())
