"""The command line: ``python -m salvage COMMAND``.

A command is a function under :func:`_command`: its name is the command's, the first line of its
docstring is what ``--help`` says, and it yields what is printed. A new command is one more of them.
What it needs is imported when it runs. What cannot be used as input ends in one message on standard
error that lists every problem, and exit code 1.
"""

import argparse
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from salvage.paths import DATA, cohort_path
from salvage.problems import InputError, Problem

_Run = Callable[..., Iterator[str]]
_Argument = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Command:
    """One subcommand: what it does, and the arguments that ``run`` is given by their names."""

    name: str
    purpose: str
    arguments: tuple[_Argument, ...]
    run: _Run


COMMANDS: Final[list[Command]] = []


def _command(*arguments: _Argument) -> Callable[[_Run], _Run]:
    """Make the function below it a command that takes ``arguments``."""

    def add(run: _Run) -> _Run:
        title = (run.__doc__ or "").partition(".\n")[0].removesuffix(".")
        purpose = title[:1].lower() + title[1:]
        COMMANDS.append(Command(run.__name__.rstrip("_"), purpose, arguments, run))
        return run

    return add


def _argument(name: str, help: str, **options: Any) -> _Argument:
    """An argument, a path unless ``options`` (of argparse's ``add_argument``) say otherwise."""
    kind = {} if "action" in options else {"type": Path}
    return name, {**kind, "help": help, **options}


@_command(
    _argument("cohort", "the cohort; $SALVAGE_COHORT or data/ without it", nargs="?"),
    _argument("--format", "json by default", type=str, choices=("json", "csv"), default="json"),
)
def results(cohort: Path | None, format: str) -> Iterator[str]:
    """Print every estimate of the book."""
    from salvage.cohort import load
    from salvage.report import results

    to_text = {"json": results.to_json, "csv": results.to_csv}[format]
    yield to_text(results.collect(load(cohort or cohort_path())))


@_command(
    _argument("path", "the cohort to check"),
    _argument(
        "--fix",
        "write a corrected copy, in which every cell that can mean one thing only holds that, and"
        " a list of the changes",
        metavar="OUT",
    ),
)
def check(path: Path, fix: Path | None) -> Iterator[str]:
    """Say whether a cohort can be used."""
    from salvage.cohort import fixing, load
    from salvage.cohort.check import summary_lines

    if fix is not None:
        fixed = fixing.fix(path, fix)
        yield f"{fixing.summary(fixed)}\n"
        path = fixed.path
        if fixed.cohort is None:
            subject = f"The corrected copy {path.name} cannot be used yet"
            raise InputError(subject, list(fixed.problems))
    yield from (f"{line}\n" for line in summary_lines(load(path), path.name))


@_command(
    _argument("workbook", "the Excel file to write, such as cohort.xlsx", nargs="?"),
    _argument(
        "--redcap",
        "write a REDCap data dictionary, and beside it the mapping of its export",
        metavar="FILE.csv",
    ),
)
def template(workbook: Path | None, redcap: Path | None) -> Iterator[str]:
    """Write an empty cohort to fill in."""
    from salvage.cohort import template

    if workbook is None and redcap is None:
        raise InputError("Nothing to write", [Problem("template", expected="a file name")])
    written = [] if workbook is None else [template.write_workbook(workbook)]
    if redcap is not None:
        written += template.write_redcap(redcap)
    yield from (f"{path}\n" for path in written)


@_command(
    _argument("source", "the folder or file that will be imported"),
    _argument("--out", "the mapping to write; it is printed without it", metavar="FILE.yaml"),
)
def map_(source: Path, out: Path | None) -> Iterator[str]:
    """Draft the mapping of any files."""
    from salvage.cohort.drafting import draft

    text = draft(source)
    if out is None:
        yield text
    else:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
        yield f"{out}\n"


@_command(
    _argument("source", "the folder or file to import"),
    _argument("--mapping", "how it maps to a cohort, YAML", required=True),
    _argument("--out", "the cohort folder to write", required=True, metavar="DIR"),
)
def import_(source: Path, mapping: Path, out: Path) -> Iterator[str]:
    """Make a cohort from any other files."""
    from salvage.cohort import importing

    imported = importing.run(source, mapping, out)
    yield imported.report()
    if imported.cohort is None:
        subject = f"The cohort {imported.folder.name} was written but cannot be used yet"
        raise InputError(subject, list(imported.problems))


@_command(
    _argument("--out", "where to write; data/ by default", default=DATA, metavar="DIR"),
    _argument(
        "--alternatives",
        "search for the many other cohorts that print the same figures (chapter 14), and, in data/,"
        " measure what varies over them",
        action="store_true",
    ),
    _argument(
        "--sequences",
        "search again for the sequences of deaths that print the published ratio (chapter 14)",
        action="store_true",
    ),
)
def calibrate(out: Path, alternatives: bool, sequences: bool) -> Iterator[str]:
    """Search again for the synthetic cohort."""
    from salvage.evidence import audit
    from salvage.synthetic import ensemble, shipped, spread

    if sequences:
        written = [audit.write_witnesses(out / audit.SEQUENCES.name)]
    elif alternatives:
        written = [ensemble.write_alternatives(out)]
        if out.resolve() == DATA.resolve():
            written.append(spread.write())
    else:
        written = shipped.write(out)
    yield from (f"{path}\n" for path in written)


@_command(
    _argument("facts", "printed figures as YAML: cases, or the facts of one study", nargs="?"),
    _argument(
        "--text",
        "read the figures of an abstract in English or Chinese, and write them into facts.yaml"
        " beside it, to be confirmed",
        metavar="ABSTRACT.txt",
    ),
    _argument("--html", "write the report as a page", metavar="REPORT.html"),
    _argument("--format", "text by default", type=str, choices=("text", "json"), default="text"),
)
def audit(facts: Path | None, text: Path | None, html: Path | None, format: str) -> Iterator[str]:
    """Check the printed figures of an abstract against each other."""
    from salvage.evidence import abstract, cases, page

    if text is not None and facts is None:
        facts = abstract.write_facts(abstract.read_text(text), text.with_name("facts.yaml"))
    elif facts is None or text is not None:
        expected = "either a file of printed figures, or --text with an abstract"
        raise InputError("Nothing to audit", [Problem("audit", expected=expected)])
    written = [] if text is None else [facts]
    read = cases.read_cases(facts)
    audited = cases.audit_cases(read)
    if html is not None:
        html.write_text(page.to_html(audited, read), encoding="utf-8")
        written.append(html)
    yield cases.to_json(audited) if format == "json" else cases.to_text(audited, read)
    if format == "text":
        yield from (f"{path}\n" for path in written)


def parser() -> argparse.ArgumentParser:
    """The parser of every command; beside the arguments it gives ``run``, the command itself."""
    main_parser = argparse.ArgumentParser(
        prog="python -m salvage", description="Salvage therapy after CAR-T failure: the analysis."
    )
    commands = main_parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        own = commands.add_parser(command.name, help=command.purpose, description=command.purpose)
        for name, options in command.arguments:
            own.add_argument(name, **options)
        own.set_defaults(run=command.run)
    return main_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, or 1 where the input cannot be used."""
    for stream in (sys.stdout, sys.stderr):
        # The same bytes on every system; Windows would otherwise print in its own code page.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", newline="\n")
    options = vars(parser().parse_args(arguments))
    run = options.pop("run")
    try:
        sys.stdout.writelines(run(**options))
        sys.stdout.flush()
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except BrokenPipeError:
        # Whoever read the output has seen enough; Python would complain once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        sys.stderr.write(f"{error.filename or 'file'}: {error.strerror or error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
