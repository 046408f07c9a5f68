"""Run the chapters that need it, in parallel, and keep what they showed until something changes.

Every job runs in a process of its own, forked from a server that has imported the heavy libraries
once; the server starts while Sphinx is still loading. Where there is no fork (Windows), each
process is spawned. Answers are kept in files named by a digest of everything that they depend on
(:mod:`book.extensions.inputs`), written whole or not at all.
"""

import json
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from sphinx.errors import ExtensionError

from book.extensions import inputs, worker
from book.extensions.cores import usable_cores
from book.extensions.worker import CohortFacts
from salvage import paths

# What the server imports before it forks; every process imports the script that was started, too.
PRELOADED = ["book.extensions.warm", "jupyter_book.cli.main"]
# Answers kept for each job: enough to go back and forth between a few cohorts or branches.
KEPT = 4


class ChapterError(ExtensionError):
    """Chapters that could not be run; the terminal has shown why. It ends a build of Sphinx."""


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
            answer = json.loads(path.read_text(encoding="utf-8"))
            os.utime(path)
        except (OSError, ValueError):
            return None
        return answer

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
        for files in entries.values():
            files.sort(key=lambda path: path.stat().st_mtime, reverse=True)
            for path in files[KEPT:]:
                path.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all, whenever the process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


@dataclass(frozen=True)
class Job:
    """A task of :mod:`book.extensions.worker`; its answer is kept by name and digest."""

    name: str
    digest: str
    task: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


class Runner:
    """Runs jobs on all cores, each at most once for each state of its inputs."""

    def __init__(self, cache: Cache) -> None:
        self.shared = inputs.shared_digest()
        self.cache = cache
        self._facts = Job("cohort", self.shared, worker.collect_facts)
        self._results = Job("results", self.shared, worker.collect_results)
        self._answers: dict[Job, Future[Any]] = {}
        self._threads = ThreadPoolExecutor(max_workers=usable_cores())
        self._lock = threading.Lock()
        self._started = self._total = 0
        self._problems: set[str] = set()

    def chapter(self, name: str, sources: Sequence[str], folder: Path) -> Job:
        """The job of running a chapter; its answer is a :class:`~book.extensions.worker.Run`."""
        digest = inputs.chapter_digest(self.shared, name, sources)
        return Job(name, digest, worker.run_cells, (tuple(sources), str(folder)))

    def start(self, chapters: Sequence[Job]) -> None:
        """Begin what is not in the cache: what is known of the cohort, then the chapters in the
        order in which they are read, then the estimates, which are wanted when all is written.
        """
        self._begin([self._facts, *chapters, self._results])

    def answer(self, job: Job) -> Any:
        """The answer of a job, from the cache or as soon as it has run.

        Raises:
            ChapterError: it failed; all have run and shown their failures.
        """
        if job not in self._answers:
            self._begin([job])
        try:
            return self._answers[job].result()
        except ChapterError:
            failed = sorted({j.name for j, answer in self._answers.items() if answer.exception()})
            raise ChapterError(f"the book stops here: not run: {', '.join(failed)}") from None

    def facts(self) -> CohortFacts:
        """Title and kind of the cohort.

        Raises:
            ChapterError: the cohort did not pass its checks.
        """
        return self.answer(self._facts)  # type: ignore[no-any-return]

    def results(self) -> str:
        """The text of results.json.

        Raises:
            ChapterError: the estimates could not be computed.
        """
        return self.answer(self._results)  # type: ignore[no-any-return]

    def unchanged(self) -> bool:
        """Whether the inputs are still those of the digest: someone may have saved a file since."""
        return inputs.shared_digest() == self.shared

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def _context(self) -> BaseContext:
        return warm_context()

    def _begin(self, jobs: Sequence[Job]) -> None:
        waiting = [job for job in jobs if not self._is_kept(job)]
        self._total += len(waiting)
        for job in waiting:
            self._answers[job] = self._threads.submit(self._run, self._context, job)

    def _is_kept(self, job: Job) -> bool:
        """Whether the cache has an answer, which is then read once and held for who asks."""
        answer = self.cache.read(job.name, job.digest)
        if answer is None:
            return False
        self._answers[job] = Future()
        self._answers[job].set_result(answer)
        return True

    def _run(self, context: BaseContext, job: Job) -> Any:
        with self._lock:
            self._started += 1
            filled = round(20 * self._started / self._total)
            bar = "#" * filled + "-" * (20 - filled)
            place = f"{self._started}/{self._total}"
            print(f"running chapters [{bar}] {place} {job.name}", flush=True)
        answer, problem = in_process(context, job.task, *job.arguments)
        if problem:
            self._tell(job.name, problem)
            raise ChapterError(job.name)
        if self.unchanged():
            self.cache.write(job.name, job.digest, answer)
        return answer

    def _tell(self, name: str, problem: str) -> None:
        with self._lock:
            # A cohort with problems stops every chapter in the same words: say them once.
            if problem not in self._problems:
                self._problems.add(problem)
                print(f"\n{name} failed\n{problem}\n", file=sys.stderr, flush=True)


def warm_context() -> BaseContext:
    """A way to start processes; its server, if any, imports :data:`PRELOADED` in the background.

    The server lives as long as this build, so that what it has imported of `salvage` is never old.
    """
    os.environ |= worker.KERNEL_ENVIRONMENT | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(paths.ROOT), os.getenv("PYTHONPATH")])),
        # The chapters share the cores among themselves: linear algebra needs no threads of its own.
        "OPENBLAS_NUM_THREADS": "1",
    }
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    forkserver.ensure_running()
    return context


def in_process(
    context: BaseContext, task: Callable[..., Any], *arguments: Any
) -> tuple[Any | None, str]:
    """Run ``task`` in a new process: its answer and an empty text, or None and what stopped it."""
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(  # type: ignore[attr-defined]  # BaseContext does not declare it
        target=worker.serve, args=(theirs, task, *arguments), daemon=True
    )
    process.start()
    theirs.close()
    try:
        answer: tuple[Any | None, str] = ours.recv()
    except EOFError:
        process.join()
        return None, f"its process ended without an answer (exit code {process.exitcode})"
    process.join()
    return answer
