"""What is wrong with an input: one record per problem, one message for all of them."""

from dataclasses import dataclass, field


@dataclass(frozen=True, order=True)
class Problem:
    """One problem of an input, and what was expected there.

    ``row`` counts as a spreadsheet does, the header is row 1. A problem of a whole file has no row,
    column or value. ``hint`` is what was probably meant, ``cure`` the text that must stand in the
    cell, where it can have one meaning only.
    """

    file: str
    row: int | None = None
    column: str = ""
    value: str = ""
    expected: str = ""
    hint: str = ""
    cure: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        place = self.file
        if self.row is not None:
            place += f", row {self.row}"
        if self.column:
            place += f", column {printable(self.column)}"
        value = f": found {_quoted(self.value)}" if self.value else ""
        return f"{place}{value}; expected {self.wanted}"

    @property
    def wanted(self) -> str:
        """What was expected, with what was probably meant."""
        return self.expected + (f" (did you mean {self.hint})" if self.hint else "")


def printable(text: str) -> str:
    """A file's text made safe for one line of a terminal."""
    return "".join(ch if ch.isprintable() else "\ufffd" for ch in text)


def _quoted(value: str) -> str:
    """A value in quotes, at most 60 characters of it."""
    clean = printable(value)
    return f'"{clean[:59]}…"' if len(clean) > 60 else f'"{clean}"'


class InputError(ValueError):
    """An input that cannot be used; ``problems`` lists every reason.

    ``subject`` is the first line of its message, with their number: "The cohort x cannot be used".
    """

    def __init__(self, subject: str, problems: list[Problem]) -> None:
        self.problems = problems
        count = len(problems)
        head = f"{subject}: {count} problem{'s' if count != 1 else ''}"
        super().__init__("\n".join([head, *(f"  {problem}" for problem in problems)]))
