"""How fast the book is built, as ratios, all of one run.

    python benchmarks/build.py [--repeats 3] [--patients 100000] [--setup]

Builds copies of this checkout's book in a scratch folder; nothing in the checkout changes.

ours     the book as it is: its chapters run in parallel, beside Sphinx
stock    Jupyter Book without the book's extensions on the same chapters: each is executed in a
         fresh kernel, one after the other (execute_notebooks: force)
floor    the same without executing anything: pages of prose and code, without outputs

Pages only, unless a row says "with print": the book's own setting `print_with_html` is off, so that
like is compared with like. Times are medians by the clock; the legs take turns, so that a busy
minute hits all alike. Compiled Python files and the operating system's file cache are warm, as on
the second use of a machine. Prints Markdown.
"""

import argparse
import compileall
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.memory import watched  # noqa: E402 -- the checkout comes first
from book.extensions.cores import usable_cores  # noqa: E402
from tests.cohorts import Recipe, generate  # noqa: E402

BOOK = ("_config.yml", "_toc.yml", "requirements.txt", "book", "chapters", "data", "salvage")
EXTENSION = "book.extensions"
OUTPUTS = Path("_build", ".cache", "outputs")
SEED = 20260218
EDITED_PAGE = "02_overview"


@dataclass(frozen=True)
class Copy:
    """A copy of the book in a folder of its own, with its own settings."""

    root: Path

    def build(self, **variables: str) -> float:
        """Build it as a user does; seconds by the clock.

        Raises:
            SystemExit: the build failed; the message is what it said.
        """
        start = time.perf_counter()
        done = subprocess.run(
            self.command(),
            cwd=self.root,
            env=self.environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        seconds = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(done.stdout.decode(errors="replace"))
        return seconds

    def peak(self) -> float:
        """Build it, and watch it: the most memory that it took, in megabytes."""
        process = subprocess.Popen(
            self.command(),
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with watched(process.pid) as peak:
            process.wait()
        if process.returncode:
            raise SystemExit("the build that was watched failed")
        return peak.megabytes

    def command(self) -> list[str]:
        """The command that builds the book."""
        return [str(Path(sys.executable).with_name("jupyter-book")), "build", "."]

    def environment(self, **variables: str) -> dict[str, str]:
        """The user's environment; `salvage` comes from the copy, in stock's kernels too."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SALVAGE_")}
        return kept | {"PYTHONPATH": str(self.root)} | variables

    def forget(self, pages_only: bool = False) -> None:
        """Drop what was built; with ``pages_only``, keep the outputs of the chapters."""
        build = self.root / "_build"
        if not pages_only:
            shutil.rmtree(build, ignore_errors=True)
            return
        for entry in build.iterdir():
            if entry.name != ".cache":
                shutil.rmtree(entry)
        for note in (build / ".cache").glob("*.*"):
            note.unlink()

    def settings(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the settings of the book."""
        file = self.root / "_config.yml"
        read = yaml.safe_load(file.read_text(encoding="utf-8"))
        change(read)
        file.write_text(yaml.safe_dump(read, sort_keys=False), encoding="utf-8")

    def edit_prose(self) -> None:
        """Add a sentence to a chapter."""
        file = self.root / "chapters" / f"{EDITED_PAGE}.md"
        with file.open("a", encoding="utf-8") as page:
            page.write("\nOne more sentence.\n")

    def edit_data(self) -> None:
        """Make the first patient a year older: every chapter depends on the whole cohort."""
        file = self.root / "data" / "patients.csv"
        head, first, *rest = file.read_text(encoding="utf-8").splitlines()
        place = head.split(",").index("age")
        cells = first.split(",")
        cells[place] = str(int(cells[place]) + 1)
        file.write_text("\n".join([head, ",".join(cells), *rest]) + "\n", encoding="utf-8")

    def cell_seconds(self) -> float:
        """What the cells of all chapters took, added up."""
        return sum(
            sum(json.loads(kept.read_text(encoding="utf-8"))["seconds"])
            for kept in (self.root / OUTPUTS).glob("chapters.*.json")
        )

    def last_chapter(self) -> float:
        """When the last chapter had run, as seconds since the epoch."""
        return max(kept.stat().st_mtime for kept in (self.root / OUTPUTS).glob("chapters.*.json"))

    def largest_page(self) -> float:
        """Megabytes of the largest page."""
        pages = (self.root / "_build" / "html").rglob("*.html")
        return max(page.stat().st_size for page in pages) / 1e6


def with_print(wanted: bool) -> Callable[[dict[str, Any]], None]:
    """The book's own settings, with or without the PDF and the Word file."""

    def change(settings: dict[str, Any]) -> None:
        settings["sphinx"]["config"]["print_with_html"] = wanted

    return change


def without_extensions(execute: str) -> Callable[[dict[str, Any]], None]:
    """Stock Jupyter Book: chapters are executed by MyST-NB, or not at all."""

    def change(settings: dict[str, Any]) -> None:
        settings["execute"] |= {"execute_notebooks": execute, "timeout": -1}
        sphinx = settings["sphinx"]
        del sphinx["local_extensions"], sphinx["config"]["print_with_html"]
        sphinx["config"]["extensions"].remove(EXTENSION)

    return change


def copy(name: str, scratch: Path, source: Path, change: Callable[[dict[str, Any]], None]) -> Copy:
    """A copy of the book in ``scratch``, its settings changed."""
    root = scratch / name
    root.mkdir()
    for part in BOOK:
        if (source / part).is_dir():
            shutil.copytree(source / part, root / part)
        else:
            shutil.copy(source / part, root / part)
    compileall.compile_dir(root, quiet=2)
    book = Copy(root)
    book.settings(change)
    return book


@dataclass
class Legs:
    """Seconds of each leg, one for each time that it ran."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, leg: str, seconds: float) -> None:
        """Note one run of a leg."""
        self.seconds.setdefault(leg, []).append(seconds)
        print(f"{leg}: {seconds:.1f} s", file=sys.stderr, flush=True)

    def __getitem__(self, leg: str) -> float:
        return statistics.median(self.seconds[leg])

    def row(self, text: str, leg: str, base: str, goal: str = "") -> tuple[str, ...]:
        """A row of the table: two legs, and how many times the one the other is."""
        here, there = self[leg], self[base]
        return (text, f"{here:.1f} s", f"{there:.1f} s", f"{here / there:.2f}", goal)


def take_turns(legs: Legs, ours: Copy, stock: Copy, floor: Copy) -> None:
    """Run every leg once."""
    floor.forget()
    legs.add("floor cold", floor.build())
    ours.forget()
    start = time.time()
    legs.add("ours cold", ours.build())
    legs.add("execution", ours.last_chapter() - start)
    legs.add("cells", ours.cell_seconds())
    for book, name in (floor, "floor"), (ours, "ours"):
        legs.add(f"{name} again", book.build())
        book.edit_prose()
        legs.add(f"{name} prose", book.build())
    ours.edit_data()
    legs.add("ours data", ours.build())
    ours.forget(pages_only=True)
    legs.add("ours kept outputs", ours.build())
    ours.settings(with_print(True))
    ours.forget(pages_only=True)
    legs.add("ours first print", ours.build())
    # The pictures of the Word file are kept as outputs are; both files are set anew.
    ours.forget(pages_only=True)
    legs.add("ours print", ours.build())
    ours.forget()
    legs.add("ours cold print", ours.build())
    ours.settings(with_print(False))
    stock.forget()
    legs.add("stock cold", stock.build())


def comparisons(legs: Legs) -> list[tuple[str, ...]]:
    """The rows of the table: what is compared with what."""
    return [
        legs.row(
            "stock Jupyter Book from cold, against this build from cold",
            "stock cold",
            "ours cold",
            "at least 6",
        ),
        legs.row(
            "from cold, against the floor from cold", "ours cold", "floor cold", "at most 2.5"
        ),
        legs.row(
            "all outputs kept, against the floor from cold", "ours kept outputs", "floor cold"
        ),
        legs.row(
            "after an edit of prose, against the floor after the same",
            "ours prose",
            "floor prose",
            "at most 1.3",
        ),
        legs.row("after an edit of data, against the floor from cold", "ours data", "floor cold"),
        legs.row("nothing changed, against the floor likewise", "ours again", "floor again"),
        legs.row(
            "outputs kept, with the first print, against the same without",
            "ours first print",
            "ours kept outputs",
        ),
        legs.row(
            "outputs and pictures kept, with print, against the same without",
            "ours print",
            "ours kept outputs",
            "at most 1.6",
        ),
    ]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; all columns but the first are numbers."""
    rules = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rules, *rows])


def execution(legs: Legs, cores: int) -> str:
    """What running the chapters costs beyond the work of their cells."""
    ideal = legs["cells"] / cores
    over = legs["execution"] - ideal
    return (
        f"Execution: the last chapter had run {legs['execution']:.1f} s after the start; its cells"
        f" took {legs['cells']:.1f} s, on {cores} cores {ideal:.1f} s; overhead {over:.1f} s."
    )


def memory(ours: Copy, floor: Copy) -> str:
    """Peak memory of a build from cold, in a run that is not timed."""
    peaks = []
    for book in ours, floor:
        book.forget()
        peaks.append(book.peak())
    mine, theirs = peaks
    return f"Peak memory from cold: {mine:,.0f} MB, {mine / theirs:.1f} times the floor's."


def big(legs: Legs, patients: int, scratch: Path, ours: Copy) -> str:
    """The book of a large cohort against the shipped one's, without and with print."""
    recipe = Recipe(patients=patients, seed=SEED, lines=2, exactly=True, adverse_events=0.5)
    cohort = str(generate(recipe).write(scratch / "cohort"))
    for wanted, leg in (False, "big cold"), (True, "big cold print"):
        ours.settings(with_print(wanted))
        ours.forget()
        legs.add(leg, ours.build(SALVAGE_COHORT=cohort))
    name = f"{patients:,} patients from cold"
    rows = [
        legs.row(f"{name}, against the shipped cohort", "big cold", "ours cold", "at most 3"),
        legs.row(f"{name}, both with print", "big cold print", "ours cold print", "at most 3"),
    ]
    head = ("a large cohort", "time", "against", "ratio", "goal")
    largest = ours.largest_page()
    return f"{table(head, rows)}\n\nIts largest page: {largest:.2f} MB (goal: at most 3)."


def set_up(scratch: Path) -> str:
    """``make book`` from a fresh clone, and what the environment takes of it."""
    clone = scratch / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    whole = timed(["make", "book"], clone)
    shutil.rmtree(clone / "_build")
    alone = timed(["make", "book"], clone)
    plain = timed([sys.executable, "-m", "venv", str(scratch / "plain")], clone)
    pip = [str(scratch / "plain" / "bin" / "pip"), "install", "--quiet", "-r", "requirements.txt"]
    plain += timed(pip, clone)
    return (
        f"make book in a fresh clone: {whole:.1f} s, of which set-up {whole - alone:.1f} s;"
        f" with pip alone the set-up takes {plain:.1f} s."
    )


def timed(command: Sequence[str], folder: Path) -> float:
    """Seconds by the clock of one command."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SALVAGE_", "PYTHONPATH"))}
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env=kept, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main(repeats: int, patients: int, setup: bool, source: Path = ROOT) -> None:
    """Measure, and print what the README quotes."""
    cores = usable_cores()
    print(
        f"{cores} cores, load {os.getloadavg()[0]:.1f} before; median of {repeats}; pages only.\n"
    )
    legs = Legs()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder).resolve()
        ours = copy("ours", scratch, source, with_print(False))
        stock = copy("stock", scratch, source, without_extensions("force"))
        floor = copy("floor", scratch, source, without_extensions("off"))
        ours.build()  # no leg pays for the first use of a machine
        for _ in range(repeats):
            take_turns(legs, ours, stock, floor)
        head = ("this build, pages only", "time", "against", "ratio", "goal")
        print(table(head, comparisons(legs)) + "\n")
        print(execution(legs, cores))
        print(memory(ours, floor), flush=True)
        if patients:
            print("\n" + big(legs, patients, scratch, ours) + "\n", flush=True)
        if setup:
            print(set_up(scratch), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=3, help="times that each leg runs")
    parser.add_argument("--patients", type=int, default=100_000, help="of the big cohort; 0: none")
    parser.add_argument("--setup", action="store_true", help="also `make book` from a fresh clone")
    given = parser.parse_args()
    main(given.repeats, given.patients, given.setup)
