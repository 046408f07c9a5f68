"""Peak memory of a process and of those that it starts."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

SAMPLE_SECONDS = 0.1


@dataclass
class Peak:
    """The highest memory seen so far."""

    megabytes: float = 0.0


@contextmanager
def watched(pid: int) -> Iterator[Peak]:
    """Sample a process and its children until it ends; on leaving, the peak is complete.

    Pages shared by several processes count once in their sum (Linux).
    """
    peak = Peak()
    watcher = threading.Thread(target=_watch, args=(pid, peak))
    watcher.start()
    yield peak
    watcher.join()


def _watch(pid: int, peak: Peak) -> None:
    while True:
        try:
            root = psutil.Process(pid)
            if root.status() == psutil.STATUS_ZOMBIE:
                return
            found = sum(map(_memory, [root, *root.children(recursive=True)]))
        except psutil.NoSuchProcess:
            return
        peak.megabytes = max(peak.megabytes, found / 1e6)
        time.sleep(SAMPLE_SECONDS)


def _memory(process: psutil.Process) -> float:
    """Bytes of memory of one process, its share of what it shares with others included."""
    try:
        found = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0.0
    return float(getattr(found, "pss", found.rss))
