"""What a build does: it fails when it should, runs only what changed, and never keeps an old
number.
"""

import html
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.scratch_book import Book, Built, cell, make_book, page

PATIENTS_CELL = cell(
    """
from salvage.display import show
from salvage.report.gate import book_cohort

cohort = book_cohort()
show.glue(cohort.study, {"patients": f"{len(cohort.patients)}"})
longest = cohort.patients["os_month"].max()
show.answer(cohort.study, f"The longest survival is {longest:.1f} months.")
"""
)
GLUED = "There are {glue:text}`patients` patients."
FIGURE_CELL = cell(
    """
from matplotlib.figure import Figure
from salvage.display import show

picture = Figure(figsize=(4, 2))
picture.subplots().plot([1, 2, 3])
show.Figure(show.CLEARED, "fig-line", picture, "A line.", "A line that rises from one to three.")
"""
)
TABLE_CELL = cell(
    """
from salvage.display import show

show.Table(show.CLEARED, "tab-one", "One row", ["Name", "Value"], [["first", "1.0"]])
"""
)


OUTPUTS = Path("_build", ".cache", "outputs")


def chapters() -> dict[str, str]:
    return {
        "00_summary": page("Summary", PATIENTS_CELL, GLUED, "\n```{bibliography}\n```\n"),
        "01_figure": page("A figure", "See {numref}`fig-line` {cite}`tian2026`.\n", FIGURE_CELL),
        "02_table": page("A table", "See {numref}`tab-one`.\n", TABLE_CELL),
    }


@pytest.fixture(scope="module")
def kept_outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outputs of the chapters, run once: most tests here are about what a build does after that."""
    book = make_book(tmp_path_factory.mktemp("first"), chapters())
    built = book.build()
    assert built.code == 0, built.text
    return book.root / OUTPUTS


@pytest.fixture
def book(tmp_path: Path, kept_outputs: Path) -> Book:
    """A book whose chapters were run elsewhere, and whose pages were never made."""
    book = make_book(tmp_path, chapters())
    shutil.copytree(kept_outputs, tmp_path / OUTPUTS)
    return book


def test_a_sound_book_builds_and_a_second_build_does_nothing(tmp_path: Path) -> None:
    book = make_book(tmp_path, chapters())
    first = book.build()
    assert first.code == 0, first.text
    assert first.ran() == {"00_summary", "01_figure", "02_table"}
    assert 'id="fig-line"' in first.page("chapters/01_figure")
    assert 'aria-label="A line that rises from one to three."' in first.page("chapters/01_figure")
    assert 'id="tab-one"' in first.page("chapters/02_table")
    assert "<details" in first.page("chapters/02_table")
    second = book.build()
    assert (second.code, second.ran()) == (0, set()), second.text
    assert "no targets are out of date" in second.plain()


# A build that must fail ---------------------------------------------------------------------------


def test_a_broken_cell_fails_and_shows_its_cell_and_traceback(book: Book) -> None:
    book.write("chapters/02_table.md", page("A table", cell("first = 1\nfirst / 0")))
    built = book.build()
    assert built.code == 1
    assert "chapters/02_table failed" in built.text
    assert "    first / 0" in built.text
    assert "ZeroDivisionError: division by zero" in built.text
    again = book.build()
    assert again.code == 1, "a second build must not be greener than the first"
    assert again.ran() == {"02_table"}


def test_an_output_that_cannot_be_shown_fails(book: Book) -> None:
    source = """
class Bad:
    def _repr_markdown_(self):
        raise ValueError("no such thing")

Bad()
"""
    book.write("chapters/02_table.md", page("A table", cell(source)))
    built = book.build()
    assert built.code == 1
    assert "ValueError: no such thing" in built.text


def test_an_unknown_glue_key_fails_each_time(book: Book) -> None:
    book.replace("chapters/00_summary.md", "`patients`", "`patient`")
    for _ in range(2):
        built = book.build()
        assert built.code == 1
        assert "No key 'patient' found" in built.text


def test_a_missing_figure_fails(book: Book) -> None:
    book.replace("chapters/02_table.md", "See", "```{image} missing.svg\n:alt: none\n```\n\nSee")
    built = book.build()
    assert built.code == 1
    assert "image file not readable: chapters/missing.svg" in built.text


def test_a_reference_to_a_figure_that_no_cell_makes_fails(book: Book) -> None:
    book.replace("chapters/01_figure.md", '"fig-line", picture', '"fig-other", picture')
    built = book.build()
    assert built.code == 1
    assert "undefined label: 'fig-line'" in built.text


def test_a_warning_of_a_cell_fails(book: Book) -> None:
    book.write(
        "chapters/02_table.md", page("A table", cell("import warnings\nwarnings.warn('odd')"))
    )
    built = book.build()
    assert built.code == 1
    assert "UserWarning: odd" in built.text or "stderr" in built.text


def test_an_unknown_citation_fails(book: Book) -> None:
    book.replace("chapters/01_figure.md", "tian2026", "tian2062")
    built = book.build()
    assert built.code == 1
    assert "tian2062" in built.text


def test_a_printed_book_that_cannot_be_made_fails_and_spares_the_pages(book: Book) -> None:
    book.replace("_config.yml", "print_with_html: false", "print_with_html: true")
    book.write("book/print/template.typ", "#let book(")
    for folder in ("html", "print"):
        book.write(f"_build/{folder}/book.pdf", "of an earlier build")
    built = book.build()
    assert built.code == 1
    assert built.text.count("the printed book could not be made: ") == 1
    assert (built.html / "chapters/02_table.html").is_file()
    assert not (built.html / "book.pdf").exists()


def test_a_cohort_with_problems_is_told_once(book: Book) -> None:
    book.write("data/salvage.csv", "patient_id,line\nX1,1\n")
    built = book.build()
    assert built.code == 1
    assert built.text.count("start_month") == 1
    assert "Traceback" not in built.text.partition("Extension error")[0]


# A build that must see a change -------------------------------------------------------------------


def article(html: str) -> str:
    """The text of a page without what stands around it."""
    return html[html.index("<article") : html.index("</article>")]


def longest_survival(html: str) -> str:
    found = re.search(r"The longest survival is ([\d.]+) months", html)
    assert found is not None
    return found.group(1)


def change_longest_survival(book: Book) -> None:
    """Give the patient who lived longest four months more."""
    lines = (book.root / "data/patients.csv").read_text(encoding="utf-8").splitlines()
    column = lines[0].split(",").index("os_month")
    rows = [line.split(",") for line in lines[1:]]
    longest = max(rows, key=lambda row: float(row[column]))
    longest[column] = f"{float(longest[column]) + 4:g}"
    book.write("data/patients.csv", "\n".join([lines[0], *map(",".join, rows)]) + "\n")


def test_a_changed_value_is_on_the_page_and_in_the_results(book: Book) -> None:
    old = float(longest_survival(book.build().page("chapters/00_summary")))
    change_longest_survival(book)
    after = book.build()
    assert after.code == 0, after.text
    new = float(longest_survival(after.page("chapters/00_summary")))
    assert new == pytest.approx(old + 4)
    results = {r["id"]: r for r in json.loads((after.html / "results.json").read_text())}
    assert results["os.range.max"]["value"] == pytest.approx(new)


def test_a_changed_constant_of_the_package_is_on_the_page(book: Book) -> None:
    book.build()
    book.replace("salvage/display/show.py", '"In short"', '"The short answer"')
    after = book.build()
    assert after.code == 0, after.text
    assert "The short answer" in after.page("chapters/00_summary")


def test_another_cohort_is_on_the_page_and_back_again_without_running(
    book: Book, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("hospital")
    (other / "patients.csv").write_text(
        "patient_id,relapse_month,os_month,died\nA,2,44.4,1\nB,3,8,0\nC,1,5,1\n", encoding="utf-8"
    )
    (other / "salvage.csv").write_text(
        "patient_id,line,category,start_month,best_response\nA,1,other,2,PD\nB,1,bispecific,3,CR\n",
        encoding="utf-8",
    )
    title = "Another hospital <script>alert(9)</script> {{ title }} $x$"
    (other / "study.yaml").write_text(f'title: "{title}"\n', encoding="utf-8")
    first = book.build()
    shipped = longest_survival(first.page("chapters/00_summary"))
    relative = os.path.relpath(other, book.root)
    second = book.build(SALVAGE_COHORT=relative)
    assert second.code == 0, second.text
    assert longest_survival(second.page("chapters/00_summary")) == "44.4"
    for name in "chapters/00_summary", "chapters/02_table", "search", "genindex", "index":
        assert "synthetic-notice" not in second.page(name)
        assert title in html.unescape(second.page(name))
        assert "<script>alert" not in second.page(name)
    third = book.build()
    assert third.ran() == set()
    assert longest_survival(third.page("chapters/00_summary")) == shipped
    assert "synthetic-notice" in third.page("chapters/02_table")


def test_another_builder_leaves_no_other_cohort_behind(
    book: Book, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """All builders read the same pages: the pages of one must not be taken for the other's."""
    other = tmp_path_factory.mktemp("hospital") / "data"
    shutil.copytree(book.root / "data", other)
    (other / "study.yaml").write_text("title: Another hospital\n", encoding="utf-8")
    number = cell(
        """
from salvage.display import show
from salvage.report.gate import book_cohort

cohort = book_cohort()
show.Table(cohort.study, "tab-one", "One row", ["Title"], [[cohort.study.title]])
"""
    )
    book.write("chapters/02_table.md", page("A table", "See {numref}`tab-one`.\n", number))
    tables = ("--builder", "custom", "--custom-builder", "tables")

    def titled() -> str:
        (made,) = (book.root / "_build" / "tables").glob("*.csv")
        return made.read_text(encoding="utf-8")

    assert book.build(*tables).code == 0
    shipped = titled()
    assert book.build(SALVAGE_COHORT=str(other)).code == 0
    assert book.build(*tables).code == 0
    assert titled() == shipped


def test_a_changed_extension_makes_the_pages_again(book: Book) -> None:
    book.build()
    book.replace(
        "book/extensions/transforms.py", "self.config.nb_code_prompt_show", '"Open the code"'
    )
    after = book.build()
    assert (after.code, after.ran()) == (0, set()), after.text
    assert "Open the code" in after.page("chapters/02_table")


def test_an_edit_of_prose_runs_nothing_and_writes_its_page(book: Book) -> None:
    book.build()
    book.replace("chapters/02_table.md", "See", "Do see")
    after = book.build()
    assert (after.code, after.ran()) == (0, set()), after.text
    assert "Do see" in after.page("chapters/02_table")


def test_an_edit_of_one_cell_runs_one_chapter(book: Book) -> None:
    book.build()
    book.replace("chapters/02_table.md", '"1.0"', '"2.5"')
    after = book.build()
    assert after.ran() == {"02_table"}
    assert "2.5" in after.page("chapters/02_table")


def test_a_changed_figure_is_drawn_again_in_its_page(book: Book) -> None:
    before = drawing(book.build())
    book.replace("chapters/01_figure.md", "[1, 2, 3]", "[3, 1, 2]")
    assert drawing(book.build()) != before


def drawing(built: Built) -> str:
    """The figure of the first chapter as it stands in the page."""
    found = re.search(
        r'<svg class="drawing" data-name="fig-line".*?</svg>',
        built.page("chapters/01_figure"),
        re.S,
    )
    assert found
    return found[0]


def test_a_figure_that_is_shown_no_more_leaves_no_file(book: Book) -> None:
    """A book that becomes public must not keep the pictures of patients beside its pages."""
    first = book.build()
    file = book.root / "_build/figures/fig-line.svg"
    assert file.is_file()
    assert drawing(first)
    source = (book.root / "chapters/01_figure.md").read_text(encoding="utf-8")
    other = page("A table too", "No figure {cite}`tian2026`.\n", TABLE_CELL.replace("-one", "-two"))
    book.write("chapters/01_figure.md", other)
    assert "fig-line" not in book.build().page("chapters/01_figure")
    assert not file.exists()
    book.write("chapters/01_figure.md", source)
    assert drawing(book.build())
    assert file.is_file()


def test_old_outputs_are_pruned(book: Book) -> None:
    folder = book.root / OUTPUTS
    (current,) = folder.glob("chapters.02_table-*.json")
    for age in range(1, 7):
        old = folder / f"chapters.02_table-{age:032d}.json"
        old.write_text("{}", encoding="utf-8")
        os.utime(old, (age, age))
    (folder / "chapters.02_table-0.json.1.2.part").touch()
    assert book.build().code == 0
    kept = sorted(path.name for path in folder.glob("chapters.02_table-*"))
    assert kept == sorted(
        [current.name, *(f"chapters.02_table-{age:032d}.json" for age in (4, 5, 6))]
    )


@pytest.mark.slow
def test_a_build_killed_at_any_moment_leaves_nothing_wrong_behind(book: Book) -> None:
    """Each round changes a number, kills the build after a while, and looks at what the next build
    makes.
    """
    expected = longest_survival(book.build().page("chapters/00_summary"))
    for seconds in 0.5, 1.0, 1.5, 2.0, 2.5, 3.0:
        change_longest_survival(book)
        expected = f"{float(expected) + 4:.1f}"
        started = subprocess.Popen(
            book.command(),
            cwd=book.root,
            env=book.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(seconds)
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()
        after = book.build()
        assert after.code == 0, after.text
        assert longest_survival(after.page("chapters/00_summary")) == expected
        assert 'id="fig-line"' in after.page("chapters/01_figure")
        assert after.page("chapters/02_table").rstrip().endswith("</html>")


def test_pages_cut_short_by_a_killed_build_are_written_again(book: Book) -> None:
    """What a build killed while it writes leaves: half a page, newer than its source, and no
    record.
    """
    whole = article(book.build().page("chapters/02_table"))
    file = book.root / "_build/html/chapters/02_table.html"
    file.write_text(file.read_text(encoding="utf-8")[:3000], encoding="utf-8")
    (book.root / "_build/.cache/pages-html.json").unlink()
    assert article(book.build().page("chapters/02_table")) == whole


def test_a_half_written_output_is_made_again(book: Book) -> None:
    book.build()
    for kept in (book.root / "_build/.cache/outputs").glob("chapters.02_table-*.json"):
        kept.write_text(kept.read_text(encoding="utf-8")[:40], encoding="utf-8")
    (book.root / "_build/.cache/pages-html.json").unlink()
    after = book.build()
    assert (after.code, after.ran()) == (0, {"02_table"}), after.text


# What stands on the pages -------------------------------------------------------------------------


def test_empty_sections_go_and_one_sentence_stays(book: Book) -> None:
    missing = cell(
        """
from salvage.display import show

show.Absent(show.CLEARED, "No adverse events are recorded.")
"""
    )
    source = page(
        "Adverse events",
        "## Grades\n",
        missing,
        "## Terms\n",
        "Text about terms.\n",
        missing,
        "## What is there\n",
        cell('show.answer(show.CLEARED, "Something.")'),
    )
    book.write("chapters/02_table.md", source)
    built = book.build()
    assert built.code == 0, built.text
    html = built.page("chapters/02_table")
    text = article(html)
    assert text.count("No adverse events are recorded.") == 1
    assert "Text about terms." not in text
    assert "Grades" not in text
    assert "Something." in text
    assert 'href="#terms"' not in html
