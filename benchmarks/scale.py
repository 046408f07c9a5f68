"""Time and peak memory of ``python -m salvage results`` for cohorts of growing size.

    python benchmarks/scale.py [PATIENTS ...]

Each cohort is generated with two salvage events for each patient, written as CSV, and read by a
fresh process. Memory is that of the process and of those it starts, shared pages counted once
(Linux), sampled ten times a second. Prints one row for each size, with the growth of time against
the size before: 10 means that ten times the patients took ten times as long.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.memory import watched  # noqa: E402 -- the checkout comes first
from tests.cohorts import Recipe, generate  # noqa: E402

SIZES = (29, 1_000, 10_000, 100_000, 1_000_000)
SEED = 20260218


@dataclass(frozen=True)
class Run:
    """One run: seconds by the clock and of processors, megabytes of memory and of input."""

    patients: int
    seconds: float
    processor: float
    memory: float
    read: float
    estimates: int


def measure(patients: int, folder: Path) -> Run:
    """Generate a cohort, run ``salvage results`` on it, and measure that process."""
    recipe = Recipe(patients=patients, seed=SEED, lines=2, exactly=True, adverse_events=0.5)
    cohort = generate(recipe).write(folder / str(patients))
    size = sum(file.stat().st_size for file in cohort.iterdir()) / 1e6
    before, start = os.times(), time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "salvage", "results", str(cohort), "--format", "csv"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    with watched(process.pid) as peak:
        output, _ = process.communicate()
        seconds, after = time.perf_counter() - start, os.times()
    if process.returncode:
        raise SystemExit(f"salvage results failed on {patients} patients")
    spent = after.children_user + after.children_system
    spent -= before.children_user + before.children_system
    return Run(patients, seconds, spent, peak.megabytes, size, output.count(b"\n") - 1)


def main(sizes: tuple[int, ...]) -> None:
    """Measure each size and print a row for it."""
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before the first run")
    head = ("patients", "input MB", "seconds", "processor s", "peak MB", "growth", "estimates")
    print("".join(f"{cell:>12}" for cell in head))
    before: Run | None = None
    with tempfile.TemporaryDirectory() as folder:
        for patients in sizes:
            run = measure(patients, Path(folder))
            cells = (
                f"{run.patients:,}",
                f"{run.read:.1f}",
                f"{run.seconds:.1f}",
                f"{run.processor:.1f}",
                f"{run.memory:,.0f}",
                f"{run.seconds / before.seconds:.1f}" if before else "",
                f"{run.estimates}",
            )
            print("".join(f"{cell:>12}" for cell in cells), flush=True)
            before = run


if __name__ == "__main__":
    main(tuple(int(size) for size in sys.argv[1:]) or SIZES)
