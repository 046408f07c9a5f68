"""Run one chapter, or collect the results, in a process of its own.

A chapter is run by an IPython shell that records what a Jupyter kernel would have sent. It saves
the two seconds that starting a kernel takes, and nothing else differs: the tests compare it with a
fresh kernel.

This module knows nothing of Sphinx: it is what the digest of a chapter's outputs stands for.
"""

import base64
import contextlib
import gc
import io
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TypedDict

# What `ipykernel` sets for the chapters that draw with pyplot.
MATPLOTLIB_BACKEND = "module://matplotlib_inline.backend_inline"


class Failure(TypedDict):
    """Why a chapter stopped: the cell's source, and the traceback as text for a terminal."""

    cell: str
    name: str
    message: str
    traceback: str


class Run(TypedDict):
    """A chapter that was run: the outputs and the seconds of each cell, and what stopped it, if
    anything.
    """

    outputs: list[list[dict[str, Any]]]
    counts: list[int | None]
    seconds: list[float]
    failure: Failure | None


class Facts(TypedDict):
    """What the binding of the book needs of the cohort."""

    title: str
    centre: str
    window: str
    data_cut_off: str
    synthetic: bool


def run_cells(sources: list[str], folder: str) -> Run:
    """Run the cells of a chapter, in order, up to the first that fails.

    ``folder`` is the working directory, as a kernel has the folder of its notebook. No cell of a
    chapter may fail.
    """
    os.chdir(folder)
    sys.path.insert(0, "")
    shell, recorded = _shell()
    done = Run(outputs=[], counts=[], seconds=[], failure=None)
    for source in sources:
        recorded.clear()
        start = time.perf_counter()
        with _redirected(recorded):
            result = shell.run_cell(source, store_history=True)
        done["seconds"].append(time.perf_counter() - start)
        done["outputs"].append([_without_display_id(output) for output in recorded])
        done["counts"].append(result.execution_count)
        failure = _failure(source, result, recorded)
        if failure:
            done["failure"] = failure
            break
    return done


def collect_facts() -> Facts:
    """Title and kind of the cohort that the book reads.

    Raises:
        CohortError: the cohort does not pass its checks.
    """
    from salvage.report.gate import book_cohort

    cohort = book_cohort()
    return Facts(
        title=cohort.study.title,
        centre=cohort.study.centre,
        window=cohort.study.window,
        data_cut_off=cohort.study.data_cut_off,
        synthetic=cohort.study.synthetic,
    )


def collect_results() -> str:
    """Every estimate of the cohort that the book reads, as the text of results.json.

    Raises:
        CohortError: the cohort does not pass its checks.
    """
    from salvage.report import results
    from salvage.report.gate import book_cohort

    return results.to_json(results.collect(book_cohort()))


def serve(connection: Any, task: Callable[..., Any], *arguments: Any) -> None:
    """Run ``task`` and send ``("ok", its answer)`` or ``("error", name, message, traceback)``.

    The process ends with its task, so that nothing is gained by collecting garbage on the way.
    """
    gc.disable()
    try:
        answer: tuple[Any, ...] = ("ok", task(*arguments))
    except BaseException as error:  # whatever stops a worker is the parent's to tell
        answer = ("error", type(error).__name__, str(error), traceback.format_exc())
    with contextlib.suppress(BrokenPipeError):
        connection.send(answer)
    connection.close()


def _failure(source: str, result: Any, recorded: list[dict[str, Any]]) -> Failure | None:
    """What went wrong in a cell: an exception, or an output that could not be shown."""
    errors = [output for output in recorded if output["output_type"] == "error"]
    if errors:
        last = errors[-1]
        trace = "\n".join(last["traceback"])
        return Failure(cell=source, name=last["ename"], message=last["evalue"], traceback=trace)
    error = result.error_before_exec or result.error_in_exec
    if error is None:
        return None
    return Failure(
        cell=source, name=type(error).__name__, message=str(error), traceback=repr(error)
    )


def _without_display_id(output: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in output.items() if key != "display_id"}


def _encoded(data: dict[str, Any]) -> dict[str, Any]:
    """A bundle as JSON: bytes as base64 text, as a kernel sends them."""
    return {
        mime: base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value
        for mime, value in data.items()
    }


def _shell() -> tuple[Any, list[dict[str, Any]]]:
    """A fresh IPython shell and the list that it records its outputs in."""
    from IPython.core.displayhook import DisplayHook
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.history import HistoryManager
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    os.environ["MPLBACKEND"] = MATPLOTLIB_BACKEND
    recorded: list[dict[str, Any]] = []

    class Hook(DisplayHook):
        """Records the value of a cell's last expression."""

        def write_output_prompt(self) -> None: ...

        def finish_displayhook(self) -> None:
            self._is_active = False

        def write_format_data(
            self, format_dict: dict[str, Any], md_dict: dict[str, Any] | None = None
        ) -> None:
            recorded.append(
                {
                    "output_type": "execute_result",
                    "data": _encoded(format_dict),
                    "metadata": md_dict or {},
                    "execution_count": self.prompt_count,
                }
            )

    class Publisher(DisplayPublisher):
        """Records what a cell displays."""

        def publish(
            self,
            data: dict[str, Any],
            metadata: dict[str, Any] | None = None,
            source: Any = None,
            *,
            transient: dict[str, Any] | None = None,
            update: bool = False,
            **kwargs: Any,
        ) -> None:
            identifier = (transient or {}).get("display_id")
            if update:
                for output in recorded:
                    if output.get("display_id") == identifier:
                        output.update(data=_encoded(data), metadata=metadata or {})
                return
            output = {
                "output_type": "display_data",
                "data": _encoded(data),
                "metadata": metadata or {},
            }
            recorded.append(output if identifier is None else output | {"display_id": identifier})

        def clear_output(self, wait: bool = False) -> None:
            recorded.clear()

    class Shell(InteractiveShell):
        """A shell that records errors instead of printing them."""

        def _showtraceback(self, etype: type, evalue: BaseException, stb: list[str]) -> None:
            recorded.append(
                {
                    "output_type": "error",
                    "ename": etype.__name__,
                    "evalue": str(evalue),
                    "traceback": stb,
                }
            )

    # A trait, which mypy takes for its type. No database of what a build has run.
    HistoryManager.enabled = False  # type: ignore[assignment]
    config = Config()
    config.InteractiveShell.colors = "nocolor"
    config.InteractiveShell.xmode = "Context"
    shell = Shell.instance(config=config, displayhook_class=Hook, display_pub_class=Publisher)
    return shell, recorded


class _Stream(io.TextIOBase):
    """Standard output or error of a cell; consecutive pieces of one stream are one output."""

    def __init__(self, name: str, recorded: list[dict[str, Any]]) -> None:
        super().__init__()
        self._name = name
        self._recorded = recorded

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if text:
            last = self._recorded[-1] if self._recorded else {}
            if last.get("output_type") == "stream" and last["name"] == self._name:
                last["text"] += text
            else:
                self._recorded.append({"output_type": "stream", "name": self._name, "text": text})
        return len(text)


@contextlib.contextmanager
def _redirected(recorded: list[dict[str, Any]]) -> Iterator[None]:
    with (
        contextlib.redirect_stdout(_Stream("stdout", recorded)),
        contextlib.redirect_stderr(_Stream("stderr", recorded)),
    ):
        yield
