"""Run one chapter, or collect what the book needs of the cohort, in a process of its own.

The cells of a chapter run in the kernel that Jupyter itself starts, here inside the process: that
saves the two seconds that a kernel of its own takes. The tests compare the two.

This module knows nothing of Sphinx: it is what the digest of a chapter's outputs stands for.
"""

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, TypedDict

from salvage.problems import InputError

# How a kernel draws, and silence of its debugger, which nobody uses here.
KERNEL_ENVIRONMENT = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}


class CellError(Exception):
    """A cell of a chapter failed; the message is what a terminal shows of it."""


class Run(TypedDict):
    """What each cell of a chapter showed, its number, and the seconds that it took."""

    outputs: list[list[dict[str, Any]]]
    counts: list[int | None]
    seconds: list[float]


class CohortFacts(TypedDict):
    """What the binding of the book needs of the cohort."""

    title: str
    centre: str
    window: str
    data_cut_off: str
    synthetic: bool


def run_cells(sources: list[str], folder: str) -> Run:
    """Run the cells of a chapter, in order.

    ``folder`` is the working directory, as a kernel has the folder of its notebook.

    Raises:
        CellError: a cell failed, which none of a chapter may, or could not read the cohort.
    """
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell, new_notebook

    os.chdir(folder)
    sys.path.insert(0, "")
    kernel, messages = _quiet_kernel()
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    recorder = NotebookClient(notebook, record_timing=False)
    recorder.reset_execution_trackers()
    recorder.clear_before_next_output = False
    run = Run(outputs=[], counts=[], seconds=[])
    for index, cell in enumerate(notebook.cells):
        start = time.perf_counter()
        with contextlib.redirect_stdout(kernel.stdout), contextlib.redirect_stderr(kernel.stderr):
            result = kernel.shell.run_cell(cell.source, store_history=True)
        run["seconds"].append(time.perf_counter() - start)
        run["counts"].append(result.execution_count)
        kernel.stdout.flush()
        kernel.stderr.flush()
        for message in messages():
            recorder.process_message(message, cell, index)
        _check(cell, result.error_before_exec or result.error_in_exec)
        run["outputs"].append(cell.outputs)
    return run


def _quiet_kernel() -> tuple[Any, Callable[[], list[Any]]]:
    """A fresh kernel that keeps no history and colours no traceback, and what takes its messages.

    The thread that sends the messages is not started: each is sent at once, none too late.
    """
    from ipykernel.inprocess.ipkernel import InProcessKernel
    from ipykernel.inprocess.socket import DummySocket
    from ipykernel.iostream import IOPubThread
    from jupyter_client.session import Session
    from traitlets.config import Config

    os.environ |= KERNEL_ENVIRONMENT
    quiet = {"InteractiveShell": {"colors": "nocolor"}, "HistoryManager": {"enabled": False}}
    session = Session(key=b"")
    socket: Any = DummySocket()
    thread = IOPubThread(socket, session=session)
    kernel = InProcessKernel(config=Config(quiet), session=session, iopub_thread=thread)

    def messages() -> list[Any]:
        return [session.recv(socket, copy=False)[1] for _ in range(socket.queue.qsize())]

    return kernel, messages


def _check(cell: Any, error: BaseException | None) -> None:
    """Stop at a cell that raised an exception, or whose value could not be shown."""
    shown = [output for output in cell.outputs if output.output_type == "error"]
    for output in shown:
        if output.ename == "CohortError":  # in the same words wherever it is met
            raise CellError(output.evalue)
    if error or shown:
        source = "\n".join(f"    {line}" for line in cell.source.splitlines())
        traces = ["\n".join(output.traceback) for output in shown] or [repr(error)]
        raise CellError("\n\n".join(["in the cell", source, *traces]))


def collect_facts() -> CohortFacts:
    """Title and kind of the cohort that the book reads.

    Raises:
        InputError: the cohort does not pass its checks.
    """
    from salvage.report.gate import book_cohort

    study = book_cohort().study
    return CohortFacts(
        title=study.title,
        centre=study.centre,
        window=study.window,
        data_cut_off=study.data_cut_off,
        synthetic=study.synthetic,
    )


def collect_results() -> str:
    """Every estimate of the cohort that the book reads, as the text of results.json.

    Raises:
        InputError: the cohort does not pass its checks.
    """
    from salvage.report import results
    from salvage.report.gate import book_cohort

    return results.to_json(results.collect(book_cohort()))


def serve(connection: Any, task: Callable[..., Any], *arguments: Any) -> None:
    """Run ``task`` and send its answer and an empty text, or None and what stopped it."""
    answer, problem = None, ""
    try:
        answer = task(*arguments)
    except (CellError, InputError) as error:
        problem = str(error)
    except BaseException:  # whatever stops a worker is the parent's to tell
        problem = traceback.format_exc()
    with contextlib.suppress(BrokenPipeError):
        connection.send((answer, problem))
    connection.close()
