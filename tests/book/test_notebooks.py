"""The three forms of each chapter agree, and nbval sees what changes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.reference_notebooks import (
    PICTURES,
    REFERENCE_ENVIRONMENT,
    ROOT,
    Paths,
    execute,
    listed_in_toc,
    plain_cells,
    read,
    reference_text,
    sync,
)
from tests.scratch_book import cell, page

PATHS = Paths()
CHAPTERS = PATHS.sources()
# Tags and comments that tell nbval to look away.
ESCAPES = ("nbval-", "NBVAL_", "PYTEST_VALIDATE_IGNORE_OUTPUT")


def disagreements(paths: Paths, source: Path) -> list[str]:
    """What is wrong with the page and the reference of a chapter; empty if nothing is."""
    found = []
    cells = plain_cells(read(source))
    for path in paths.page(source), paths.reference(source):
        if not path.is_file():
            found.append(f"{path.name} is missing: make accept")
        elif plain_cells(read(path)) != cells:
            found.append(f"{path.name} does not hold the cells of {source.name}: make sync")
    reference = paths.reference(source)
    if reference.is_file():
        found += unrun(reference)
    return found


def unrun(reference: Path) -> list[str]:
    """Cells of a reference that were not run, or not in order."""
    code = [c for c in read(reference).cells if c.cell_type == "code"]
    counts = [c.execution_count for c in code]
    wanted = list(range(1, len(code) + 1))
    if counts != wanted:
        return [f"{reference.name}: cells were run as {counts}, not {wanted}: make accept"]
    if not any(c.outputs for c in code):
        return [f"{reference.name}: no cell has an output: make accept"]
    return []


def test_there_are_chapters() -> None:
    assert len(CHAPTERS) == 16


@pytest.mark.parametrize("source", CHAPTERS, ids=lambda path: path.stem)
def test_the_three_forms_hold_the_same_cells_and_the_reference_was_run(source: Path) -> None:
    assert disagreements(PATHS, source) == []


@pytest.mark.parametrize("source", CHAPTERS, ids=lambda path: path.stem)
def test_no_cell_escapes_nbval(source: Path) -> None:
    text = source.read_text(encoding="utf-8")
    assert not [escape for escape in ESCAPES if escape in text]


@pytest.mark.parametrize("source", CHAPTERS, ids=lambda path: path.stem)
def test_references_are_written_as_make_accept_writes_them(source: Path) -> None:
    reference = PATHS.reference(source)
    assert reference.read_text(encoding="utf-8") == reference_text(read(reference))


def test_every_chapter_is_in_the_table_of_contents() -> None:
    chapters = {f"chapters/{source.stem}" for source in CHAPTERS}
    assert chapters <= listed_in_toc(ROOT)


def test_every_page_and_reference_has_a_source() -> None:
    known = {source.stem for source in CHAPTERS}
    pages = {path.stem for path in (ROOT / "chapters").glob("*.md")}
    references = {path.stem for path in (ROOT / "tests" / "notebooks").glob("*.ipynb")}
    assert pages == known
    assert references == known


# The net itself, tested on a small copy ----------------------------------------------------------

MARKDOWN_CHAPTER = page(
    "Patients",
    "How many patients?\n",
    cell(
        "from salvage.report.gate import book_cohort\n\n"
        "cohort = book_cohort()\nlen(cohort.patients)"
    ),
    cell('print(cohort.patients["os_month"].sum().round(1))'),
)


@pytest.fixture
def copy(tmp_path: Path) -> Paths:
    """A project of one chapter with the real package and data, its reference accepted."""
    for folder in "salvage", "data":
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "jupytext.toml", tmp_path)
    (tmp_path / "chapters").mkdir()
    paths = Paths(tmp_path)
    import jupytext

    source = tmp_path / "chapters" / "01_patients.py"
    jupytext.write(jupytext.reads(MARKDOWN_CHAPTER, fmt="md:myst"), source, fmt="py:percent")
    sync(paths)
    reference = paths.reference(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(REFERENCE_ENVIRONMENT, "PYTHONPATH", str(tmp_path))
        reference.write_text(reference_text(execute(source, reference.parent)), encoding="utf-8")
    return paths


def nbval(paths: Paths) -> subprocess.CompletedProcess[str]:
    """Run nbval alone over the references of a project."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-q", "--color=no"),
            *("-p", "no:cacheprovider", "--rootdir", str(paths.root), "tests/notebooks"),
        ],
        cwd=paths.root,
        env={k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))}
        | REFERENCE_ENVIRONMENT
        | {"PYTHONPATH": str(paths.root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_an_untouched_copy_passes(copy: Paths) -> None:
    done = nbval(copy)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
    assert disagreements(copy, copy.sources()[0]) == []


def test_nbval_sees_one_changed_value_in_the_data(copy: Paths) -> None:
    file = copy.root / "data" / "patients.csv"
    header, first, *rest = file.read_text(encoding="utf-8").splitlines()
    column = header.split(",").index("os_month")
    values = first.split(",")
    values[column] = f"{float(values[column]) + 20:g}"
    file.write_text("\n".join([header, ",".join(values), *rest]) + "\n", encoding="utf-8")
    done = nbval(copy)
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 passed" in done.stdout


def test_the_guard_sees_stripped_outputs(copy: Paths) -> None:
    source = copy.sources()[0]
    reference = copy.reference(source)
    notebook = read(reference)
    for code in notebook.cells:
        if code.cell_type == "code":
            code.outputs, code.execution_count = [], None
    nbformat.write(notebook, reference)
    assert nbval(copy).returncode == 0, "nbval has begun to see this itself"
    assert ["were run as" in line for line in disagreements(copy, source)] == [True]


def test_the_guard_sees_an_edit_of_the_py_alone(copy: Paths) -> None:
    source = copy.sources()[0]
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace("len(cohort.patients)", "len(cohort.salvage)"), encoding="utf-8")
    assert len([line for line in disagreements(copy, source) if "make sync" in line]) == 2


def test_sync_keeps_outputs_up_to_the_first_changed_cell(copy: Paths) -> None:
    source = copy.sources()[0]
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace(".sum()", ".max()"), encoding="utf-8")
    sync(copy)
    first, second = [c for c in read(copy.reference(source)).cells if c.cell_type == "code"]
    assert first.outputs
    assert not second.outputs
    assert ["were run as" in line for line in disagreements(copy, source)] == [True]


def test_references_are_the_same_bytes_each_time(copy: Paths) -> None:
    source = copy.sources()[0]
    reference = copy.reference(source)
    before = reference.read_bytes()
    again = reference_text(execute(source, reference.parent))
    assert again.encode() == before


def test_references_hold_no_pictures() -> None:
    for source in CHAPTERS:
        for code in read(PATHS.reference(source)).cells:
            for output in code.get("outputs", []):
                assert not set(output.get("data", {})) & set(PICTURES)
