"""Time and peak memory of ``python -m salvage results`` for cohorts of growing size.

    python benchmarks/scale.py [PATIENTS ...]

Each cohort is generated with two salvage events for each patient, written as CSV, and read by a
fresh process, whose peak memory the system reports. Prints one row for each size, with the growth
against the size before: 10 means that ten times the patients took ten times as long.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.cohorts import Recipe, generate  # noqa: E402 -- the checkout comes first

SIZES = (29, 1_000, 10_000, 100_000, 1_000_000)
SEED = 20260218


@dataclass(frozen=True)
class Run:
    """One run: wall-clock seconds, megabytes of peak memory and of input, estimates printed."""

    patients: int
    seconds: float
    memory: float
    read: float
    estimates: int


def measure(patients: int, folder: Path) -> Run:
    """Generate a cohort, run ``salvage results`` on it, and measure that process."""
    recipe = Recipe(patients=patients, seed=SEED, lines=2, exactly=True, adverse_events=0.5)
    cohort = generate(recipe).write(folder / str(patients))
    size = sum(file.stat().st_size for file in cohort.iterdir()) / 1e6
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "salvage", "results", str(cohort), "--format", "csv"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    output = process.stdout.read() if process.stdout else b""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"salvage results failed on {patients} patients")
    return Run(patients, seconds, _megabytes(usage), size, output.count(b"\n") - 1)


def _megabytes(usage: resource.struct_rusage) -> float:
    """Peak resident memory: Linux reports kilobytes, macOS bytes."""
    return usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main(sizes: tuple[int, ...]) -> None:
    """Measure each size and print a row for it."""
    print(f"{'patients':>10} {'input MB':>9} {'seconds':>8} {'peak MB':>8} {'growth':>7} estimates")
    before: Run | None = None
    with tempfile.TemporaryDirectory() as folder:
        for patients in sizes:
            run = measure(patients, Path(folder))
            growth = f"{run.seconds / before.seconds:.1f}" if before else ""
            print(
                f"{run.patients:>10,} {run.read:>9.1f} {run.seconds:>8.1f} {run.memory:>8.0f} "
                f"{growth:>7} {run.estimates}",
                flush=True,
            )
            before = run


if __name__ == "__main__":
    main(tuple(int(size) for size in sys.argv[1:]) or SIZES)
