"""The command line: ``python -m salvage COMMAND``.

A command is a row of :data:`COMMANDS`: its name, what it does, its arguments, and a function that
runs it and returns the exit code. Modules are imported when their command runs. What cannot be used
as input ends in one message on standard error that lists every problem, and exit code 1.
"""

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from salvage.paths import DATA, cohort_path
from salvage.problems import InputError, Problem


@dataclass(frozen=True)
class Command:
    """One subcommand: ``arguments`` adds to its parser, ``run`` returns the exit code."""

    name: str
    purpose: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def _results_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "cohort", nargs="?", type=Path, help="the cohort; $SALVAGE_COHORT or data/ without it"
    )
    parser.add_argument("--format", choices=("json", "csv"), default="json", help="json by default")


def _results(arguments: argparse.Namespace) -> int:
    from salvage.cohort import load
    from salvage.report import results

    found = results.collect(load(arguments.cohort or cohort_path()))
    to_text = {"json": results.to_json, "csv": results.to_csv}[arguments.format]
    sys.stdout.write(to_text(found))
    return 0


def _check_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, help="the cohort to check")


def _check(arguments: argparse.Namespace) -> int:
    from salvage.cohort import load
    from salvage.cohort.check import told

    lines = told(load(arguments.path), arguments.path.name)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


def _template_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "workbook", nargs="?", type=Path, help="the Excel file to write, such as cohort.xlsx"
    )
    parser.add_argument(
        "--redcap",
        type=Path,
        metavar="FILE.csv",
        help="write a REDCap data dictionary, and beside it the mapping of its export",
    )


def _template(arguments: argparse.Namespace) -> int:
    from salvage.cohort import template

    if arguments.workbook is None and arguments.redcap is None:
        raise InputError("Nothing to write", [Problem("template", None, "", "", "a file name")])
    written = []
    if arguments.workbook is not None:
        written.append(template.write_workbook(arguments.workbook))
    if arguments.redcap is not None:
        written += template.write_redcap(arguments.redcap)
    sys.stdout.writelines(f"{path}\n" for path in written)
    return 0


def _import_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help="the folder or file to import")
    parser.add_argument("--mapping", type=Path, required=True, help="how it maps to a cohort, YAML")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the cohort folder to write"
    )


def _import(arguments: argparse.Namespace) -> int:
    from salvage.cohort import importing

    imported = importing.run(arguments.source, arguments.mapping, arguments.out)
    sys.stdout.write(imported.report())
    if imported.cohort is None:
        subject = f"The cohort {imported.folder.name} was written but cannot be used yet"
        raise InputError(subject, list(imported.problems))
    return 0


def _calibrate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=DATA, metavar="DIR", help="where to write; data/ by default"
    )
    parser.add_argument(
        "--alternatives",
        action="store_true",
        help="search for the many other cohorts that print the same figures (chapter 14), and, in"
        " data/, measure what varies over them",
    )
    parser.add_argument(
        "--sequences",
        action="store_true",
        help="search again for the sequences of deaths that print the published ratio (chapter 14)",
    )


def _calibrate(arguments: argparse.Namespace) -> int:
    from salvage.evidence import audit
    from salvage.synthetic import ensemble, shipped, spread

    if arguments.sequences:
        written = [audit.write_witnesses(arguments.out / audit.SEQUENCES.name)]
    elif arguments.alternatives:
        written = [ensemble.write_alternatives(arguments.out)]
        if arguments.out.resolve() == DATA.resolve():
            written.append(spread.write())
    else:
        written = shipped.write(arguments.out)
    sys.stdout.writelines(f"{path}\n" for path in written)
    return 0


def _audit_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("facts", type=Path, help="the printed figures of an abstract, as YAML")


def _audit(arguments: argparse.Namespace) -> int:
    from salvage.evidence.facts_file import audit_facts

    sys.stdout.write(str(audit_facts(arguments.facts)))
    return 0


COMMANDS: Final = (
    Command("results", "print every estimate of the book", _results_arguments, _results),
    Command("check", "say whether a cohort can be used", _check_arguments, _check),
    Command("template", "write an empty cohort to fill in", _template_arguments, _template),
    Command("import", "make a cohort from any other files", _import_arguments, _import),
    Command(
        "calibrate",
        "search again for the synthetic cohort",
        _calibrate_arguments,
        _calibrate,
    ),
    Command(
        "audit",
        "check the printed figures of an abstract against each other",
        _audit_arguments,
        _audit,
    ),
)


def parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    made = argparse.ArgumentParser(
        prog="python -m salvage", description="Salvage therapy after CAR-T failure: the analysis."
    )
    commands = made.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        one = commands.add_parser(command.name, help=command.purpose, description=command.purpose)
        command.arguments(one)
        one.set_defaults(run=command.run)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, or 1 where the input cannot be used."""
    for stream in (sys.stdout, sys.stderr):
        # The same bytes on every system; Windows would otherwise print in its own code page.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", newline="\n")
    given = parser().parse_args(arguments)
    try:
        code: int = given.run(given)
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
    return code


if __name__ == "__main__":
    sys.exit(main())
