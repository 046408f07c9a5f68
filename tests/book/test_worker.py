"""A chapter says the same in the book's workers as alone in a fresh Jupyter kernel."""

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from nbclient import NotebookClient
from nbformat import from_dict

from book.extensions import inputs, worker
from book.extensions.execution import Cache, in_process
from salvage.report import results
from tests.reference_notebooks import PICTURES, Paths, read
from tests.scratch_book import Built

CELLS = {
    "stdout": "print('one')\nprint('two', end='')",
    "stderr": "import sys\nprint('wrong', file=sys.stderr)",
    "value": "1 + 1",
    "silent value": "1 + 1;",
    "no value": "x = 5",
    "last value": "_ + 1 if False else _i",
    "display": "from IPython.display import Markdown\ndisplay(Markdown('*a*'))\nMarkdown('*b*')",
    "display is there": "display({'text/plain': 'p', 'text/html': '<b>p</b>'}, raw=True)",
    "update": "handle = display('first', display_id='h')\nhandle.update('second')",
    "frame": "import pandas as pd\npd.DataFrame({'a': [1.5, 2.0], 'b': ['x', None]})",
    "picture": "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.title('t');",
    "name": "__name__, x",
    "state of another cell": "x += 1\nx",
    "warning": "import warnings\nwarnings.warn('odd', DeprecationWarning)",
    "magic": "%pprint off",
    "async": "import asyncio\nawait asyncio.sleep(0, 'slept')",
}
# What differs from run to run, or names the file or the process in which a cell was run.
PICTURE_MIMES = {"image/png"}


def coalesced(outputs: list[Any]) -> list[dict[str, Any]]:
    """Outputs with consecutive pieces of one stream joined, pictures only named, tracebacks left
    out.
    """
    joined: list[dict[str, Any]] = []
    for output in map(dict, outputs):
        output.pop("traceback", None)
        if "data" in output:
            output["data"] = {
                mime: "picture" if mime in PICTURE_MIMES else value
                for mime, value in dict(output["data"]).items()
            }
            output["metadata"] = dict(output["metadata"])
        same = joined and output["output_type"] == "stream" == joined[-1]["output_type"]
        if same and joined[-1]["name"] == output["name"]:
            joined[-1]["text"] += output["text"]
        else:
            joined.append(output)
    return joined


@pytest.fixture(scope="module")
def in_kernel(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Code cells as a fresh kernel runs them."""
    cells = [
        {
            "id": f"c{number}",
            "cell_type": "code",
            "metadata": {"tags": ["raises-exception"]},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(CELLS.values())
    ]
    notebook = from_dict({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    folder = str(tmp_path_factory.mktemp("kernel"))
    NotebookClient(
        notebook, kernel_name="python3", resources={"metadata": {"path": folder}}
    ).execute()
    return list(notebook.cells)


@pytest.fixture(scope="module")
def in_worker(tmp_path_factory: pytest.TempPathFactory) -> worker.Run:
    """The same cells as the book runs them."""
    run, problem = in_process(
        multiprocessing.get_context("spawn"),
        worker.run_cells,
        list(CELLS.values()),
        str(tmp_path_factory.mktemp("worker")),
    )
    assert problem == ""
    assert run is not None
    return run  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_says_the_same(name: str, in_kernel: list[Any], in_worker: worker.Run) -> None:
    number = list(CELLS).index(name)
    expected = in_kernel[number]
    assert in_worker["counts"][number] == expected.execution_count
    found = coalesced(in_worker["outputs"][number])
    wanted = coalesced(expected.outputs)
    if name == "warning":  # it names the file that the cell was compiled as
        assert [o["name"] for o in found] == [o["name"] for o in wanted] == ["stderr"]
        assert all("DeprecationWarning: odd" in o[0]["text"] for o in (found, wanted))
    else:
        assert found == wanted


def test_no_output_comes_too_late_for_its_cell() -> None:
    """The kernel of Jupyter sends from a thread, in which a text may wait for the next cell."""
    texts = [f"{stream}{number}" for number in range(200) for stream in ("stdout", "stderr")]
    cells = [f"import sys; print('{text}', file=sys.{text[:6]})" for text in texts]
    run, _ = in_process(
        multiprocessing.get_context("spawn"), worker.run_cells, cells, str(Path.cwd())
    )
    assert run is not None
    assert [[o["text"] for o in outputs] for outputs in run["outputs"]] == [
        [f"{t}\n"] for t in texts
    ]


@pytest.mark.parametrize("source", Paths().sources(), ids=lambda path: path.stem)
def test_the_book_says_what_the_reference_says(source: Path, built_book: Built) -> None:
    """nbval holds the reference to a fresh kernel; this holds the book to the reference."""
    folder = built_book.html.parent / ".cache" / "outputs"
    (kept,) = folder.glob(f"chapters.{source.stem}-*.json")
    run = json.loads(kept.read_text(encoding="utf-8"))
    reference = [c for c in read(Paths().reference(source)).cells if c.cell_type == "code"]
    assert len(run["outputs"]) == len(reference)
    for outputs, cell in zip(run["outputs"], reference, strict=True):
        for output in outputs:
            for mime in PICTURES:
                output.get("data", {}).pop(mime, None)
        assert coalesced(outputs) == coalesced(cell.outputs)


@pytest.mark.parametrize("source", Paths().sources(), ids=lambda path: path.stem)
def test_the_quick_reading_of_cells_is_that_of_the_page(source: Path) -> None:
    page = Paths().page(source)
    quick = inputs.code_cells(page.read_text(encoding="utf-8"))
    whole = [inputs.normal(c.source) for c in read(page).cells if c.cell_type == "code"]
    assert quick == whole


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (
            "first = 1\nfirst / 0",
            ["    first / 0", "----> 2 first / 0", "ZeroDivisionError: division"],
        ),
        ("first =", ["    first =", "SyntaxError"]),
        ("raise SystemExit('enough')", ["    raise SystemExit", "enough"]),
        (
            "class Bad:\n    def _repr_markdown_(self):\n        raise ValueError('none')\nBad()",
            ["    class Bad:", "ValueError: none"],
        ),
        ("import os\nos._exit(7)", ["exit code 7"]),
    ],
)
def test_a_cell_that_fails_is_shown(source: str, shown: list[str]) -> None:
    run, problem = in_process(
        multiprocessing.get_context("spawn"), worker.run_cells, ["x = 1", source], str(Path.cwd())
    )
    assert run is None
    assert [text for text in shown if text not in problem] == []
    assert "\x1b" not in problem


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_the_estimates_of_a_large_cohort_are_made_in_one_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Alone they are made on all processors; a worker of the book cannot start others."""
    monkeypatch.setattr(results, "PARALLEL_FROM", 1)
    fork = multiprocessing.get_context("fork")
    answer, problem = in_process(fork, worker.collect_results)
    assert problem == ""
    assert answer is not None
    assert "os.median" in {record["id"] for record in json.loads(answer)}


def test_what_cannot_be_read_is_not_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert cache.read("a", "1") is None
    cache.write("a", "1", {"x": [1, "ü"]})
    assert cache.read("a", "1") == {"x": [1, "ü"]}
    cache.path("a", "1").write_text('{"x": [1,', encoding="utf-8")
    assert cache.read("a", "1") is None


def test_the_digest_sees_the_cohort_and_the_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in "patients.csv", "salvage.csv", "study.yaml":
        (tmp_path / name).write_text("a", encoding="utf-8")
    monkeypatch.setenv("SALVAGE_COHORT", str(tmp_path))
    digests = [inputs.shared_digest()]
    (tmp_path / "salvage.csv").write_text("b", encoding="utf-8")
    digests.append(inputs.shared_digest())
    (tmp_path / "adverse_events.csv").write_text("a", encoding="utf-8")
    digests.append(inputs.shared_digest())
    monkeypatch.setenv("SALVAGE_PICTURES", "0")
    digests.append(inputs.shared_digest())
    assert len(set(digests)) == len(digests)
    moved = tmp_path.with_name("moved")
    tmp_path.rename(moved)
    monkeypatch.setenv("SALVAGE_COHORT", str(moved))
    assert inputs.shared_digest() == digests[-1], "where the cohort stands does not matter"
