"""The benchmark of the build runs, and says what it compares; no test here looks at a clock."""

from pathlib import Path

import pytest

from benchmarks import build
from tests.scratch_book import cell, make_book, page


@pytest.mark.slow
def test_the_benchmark_runs_and_prints_every_comparison(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    number = cell(
        """
from salvage.display import show
from salvage.report.gate import book_cohort

cohort = book_cohort()
show.text(cohort.study, str(len(cohort.patients)))
"""
    )
    chapters = {"00_summary": page("Summary", number), build.EDITED_PAGE: page("More", number)}
    book = make_book(tmp_path / "book", chapters)
    # The printed book needs fonts and a template that a small book does not have.
    monkeypatch.setattr(build, "with_print", lambda wanted: lambda settings: None)
    build.main(repeats=1, patients=50, setup=False, source=book.root)
    printed, told = capsys.readouterr()
    legs = {line.partition(":")[0] for line in told.splitlines()}
    assert {"stock cold", "ours cold", "floor cold", "floor prose", "ours data"} <= legs
    rows = [line for line in printed.splitlines() if line.startswith("| ")]
    assert len(rows) == 14
    assert all(row.count("|") == 6 for row in rows)
    for words in (
        "Execution:",
        "Peak memory",
        "50 patients from cold, both with print",
        "largest page",
    ):
        assert words in printed


def test_a_leg_is_the_median_of_its_runs() -> None:
    legs = build.Legs({"a": [3.0, 1.0, 8.0], "b": [2.0]})
    assert legs.row("a to b", "a", "b", "at most 2") == (
        "a to b",
        "3.0 s",
        "2.0 s",
        "1.50",
        "at most 2",
    )
