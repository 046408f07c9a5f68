"""Run the chapters that need it, in parallel, and keep what they said until something changes.

Every chapter runs in a process of its own, forked from a server that has imported the heavy
libraries once; the server starts while Sphinx is still loading. Where there is no fork (Windows),
each process is spawned. Outputs are kept in files named by a digest of everything that they depend
on (:mod:`book.extensions.inputs`), written whole or not at all.
"""

import json
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any, TextIO

from book.extensions import inputs, worker
from book.extensions.worker import Facts, Run
from salvage import paths
from salvage.cores import usable_cores

# Imported by the server before it forks.
WARM_MODULE = "book.extensions.warm"
# Outputs kept for each chapter: enough to go back and forth between a few cohorts or branches.
KEPT = 4


class ChapterError(Exception):
    """Chapters that could not be run; the terminal has shown why."""


@dataclass(frozen=True)
class Cache:
    """A folder of JSON files, each named by what it holds and by the digest of its inputs."""

    folder: Path

    def path(self, name: str, digest: str) -> Path:
        return self.folder / f"{name.replace('/', '.')}-{digest}.json"

    def read(self, name: str, digest: str) -> Any | None:
        """What was kept, or None if nothing was, or if it cannot be read."""
        path = self.path(name, digest)
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            os.utime(path)
        except (OSError, ValueError):
            return None
        return kept

    def write(self, name: str, digest: str, value: Any) -> None:
        write_atomically(self.path(name, digest), json.dumps(value, ensure_ascii=False))

    def prune(self) -> None:
        """Keep the :data:`KEPT` entries of each name that were used last; drop leftovers of a
        killed build.
        """
        entries: dict[str, list[Path]] = {}
        for path in self.folder.glob("*"):
            if path.suffix == ".json":
                entries.setdefault(path.stem.rpartition("-")[0], []).append(path)
            else:
                path.unlink(missing_ok=True)
        for found in entries.values():
            found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
            for path in found[KEPT:]:
                path.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all, whenever the process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


class Progress:
    """A line for each chapter as it starts; a failing chapter's cell and traceback at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._total = 0
        self._started = 0

    def expect(self, number: int) -> None:
        with self._lock:
            self._total += number

    def started(self, name: str) -> None:
        with self._lock:
            self._started += 1
            filled = round(20 * self._started / max(self._total, self._started))
            bar = "#" * filled + "-" * (20 - filled)
            print(
                f"running chapters [{bar}] {self._started}/{self._total} {name}",
                file=self._stream,
                flush=True,
            )

    def failed(self, name: str, text: str) -> None:
        with self._lock:
            print(f"\n{name} failed\n{text}\n", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Chapter:
    """A chapter as far as running it goes: its name, its file, and its code cells."""

    name: str
    file: Path
    sources: tuple[str, ...]


class Runner:
    """Runs chapters on all cores, each at most once for each state of its inputs."""

    def __init__(self, cache: Cache, stream: TextIO) -> None:
        self.shared = inputs.shared_digest()
        self._cache = cache
        self._progress = Progress(stream)
        self._futures: dict[tuple[str, str], Future[Any]] = {}
        self._context: BaseContext | None = None
        self._threads = ThreadPoolExecutor(max_workers=usable_cores())
        self._failures: list[str] = []

    def digest(self, chapter: Chapter) -> str:
        return inputs.chapter_digest(self.shared, chapter.name, chapter.sources)

    def start(self, chapters: Sequence[Chapter]) -> None:
        """Begin to run what is not in the cache: what is known of the cohort, then the chapters in
        the order in which they are read, then the estimates, which are wanted when all is written.
        """
        if not self._has_kept("facts", self.shared):
            self._submit("facts", self.shared, worker.collect_facts)
        waiting = [c for c in chapters if not self._has_kept(c.name, self.digest(c))]
        self._progress.expect(len(waiting))
        for chapter in waiting:
            self._run(chapter)
        if not self._has_kept("results", self.shared):
            self._submit("results", self.shared, worker.collect_results)

    def has_work(self) -> bool:
        """Whether anything had to be run in this build."""
        return self._context is not None

    def outputs(self, chapter: Chapter) -> Run:
        """The outputs of a chapter, from the cache or as soon as it has run.

        Raises:
            ChapterError: it failed, or another did; all have run and shown their failures.
        """
        key = chapter.name, self.digest(chapter)
        if key not in self._futures and not self._has_kept(*key):
            self._progress.expect(1)
            self._run(chapter)
        return self._await(key)  # type: ignore[no-any-return]  # JSON of a Run

    def unchanged(self) -> bool:
        """Whether the inputs are still those of the digest: someone may have saved a file since."""
        return inputs.shared_digest() == self.shared

    def facts(self) -> Facts:
        """Title and kind of the cohort.

        Raises:
            ChapterError: the cohort did not pass its checks.
        """
        return self._await(("facts", self.shared))  # type: ignore[no-any-return]

    def results(self) -> str:
        """The text of results.json.

        Raises:
            ChapterError: the estimates could not be computed.
        """
        return self._await(("results", self.shared))  # type: ignore[no-any-return]

    def prune(self) -> None:
        self._cache.prune()

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _has_kept(self, name: str, digest: str) -> bool:
        """Whether the cache has an answer, which is then read once and held for who asks."""
        kept = self._cache.read(name, digest)
        if kept is None:
            return False
        done: Future[Any] = Future()
        done.set_result(kept)
        self._futures[name, digest] = done
        return True

    def _run(self, chapter: Chapter) -> None:
        self._submit(
            chapter.name,
            self.digest(chapter),
            worker.run_cells,
            list(chapter.sources),
            str(chapter.file.parent),
        )

    def _submit(self, name: str, digest: str, task: Callable[..., Any], *arguments: Any) -> None:
        if self._context is None:
            self._context = warm_context()
        self._futures[name, digest] = self._threads.submit(
            self._work, self._context, name, digest, task, arguments
        )

    def _work(
        self,
        context: BaseContext,
        name: str,
        digest: str,
        task: Callable[..., Any],
        arguments: tuple[Any, ...],
    ) -> Any:
        if task is worker.run_cells:
            self._progress.started(name)
        answer = in_process(context, task, *arguments)
        if answer[0] == "error":
            self._fail(name, answer[2] if answer[1] == "CohortError" else answer[3])
        value = answer[1]
        failure = value["failure"] if task is worker.run_cells else None
        if failure:
            if failure["name"] == "CohortError":
                self._fail("cohort", failure["message"])
            cell = "\n".join(f"    {line}" for line in failure["cell"].splitlines())
            self._fail(name, f"in the cell\n\n{cell}\n\n{failure['traceback']}")
        if self.unchanged():
            self._cache.write(name, digest, value)
        return value

    def _fail(self, name: str, text: str) -> None:
        # A cohort with problems stops every chapter in the same words: say them once.
        if text not in self._failures:
            self._failures.append(text)
            self._progress.failed(name, text)
        raise ChapterError(name)

    def _await(self, key: tuple[str, str]) -> Any:
        try:
            return self._futures[key].result()
        except ChapterError:
            failed = sorted(
                {key[0] for key, future in self._futures.items() if future.exception() is not None}
            )
            raise ChapterError(f"not run: {', '.join(failed)}") from None


def warm_context() -> BaseContext:
    """A way to start processes, its server already importing :data:`WARM_MODULE` in the background.

    The server lives as long as this build, so that what it has imported of `salvage` is never old.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    # Every process imports the script that was started; for Jupyter Book's own that is worth
    # sharing too.
    started = [name for name in ("jupyter_book.cli.main",) if name in sys.modules]
    context.set_forkserver_preload([WARM_MODULE, *started])
    search = os.pathsep.join(filter(None, [str(paths.ROOT), os.environ.get("PYTHONPATH")]))
    # The chapters share the cores among themselves: linear algebra needs no threads of its own.
    with environment(
        PYTHONPATH=search, MPLBACKEND=worker.MATPLOTLIB_BACKEND, OPENBLAS_NUM_THREADS="1"
    ):
        forkserver.ensure_running()
    return context


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Environment variables for the processes started inside the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def new_process(
    context: BaseContext, connection: Any, task: Callable[..., Any], arguments: tuple[Any, ...]
) -> Any:
    """A process that runs ``task`` and sends its answer over the connection."""
    process = context.Process(  # type: ignore[attr-defined]  # BaseContext does not declare it
        target=worker.serve, args=(connection, task, *arguments), daemon=True
    )
    process.start()
    return process


def in_process(context: BaseContext, task: Callable[..., Any], *arguments: Any) -> tuple[Any, ...]:
    """Answer of ``task`` run in a new process: ``("ok", answer)`` or ``("error", name, message,
    trace)``.
    """
    ours, theirs = context.Pipe(duplex=False)
    try:
        process = new_process(context, theirs, task, arguments)
    except (ConnectionError, EOFError):  # the server has died: do without it
        process = new_process(multiprocessing.get_context("spawn"), theirs, task, arguments)
    theirs.close()
    try:
        answer: tuple[Any, ...] = ours.recv()
    except EOFError:
        process.join()
        text = f"its process ended without an answer (exit code {process.exitcode})"
        return ("error", "EOFError", text, text)
    process.join()
    return answer


def read_chapters(root: Path, names: Iterable[str]) -> list[Chapter]:
    """The pages among ``names`` that hold code cells."""
    chapters = []
    for name in names:
        file = root / f"{name}.md"
        if not file.is_file():
            continue
        sources = inputs.code_cells(file.read_text(encoding="utf-8"))
        if sources:
            chapters.append(Chapter(name, file, tuple(sources)))
    return chapters
