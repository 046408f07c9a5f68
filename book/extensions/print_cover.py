"""What stands on the cover of the printed book, the same in PDF and Word."""

from dataclasses import dataclass

from book.extensions.print_ast import page_label
from salvage import words


@dataclass(frozen=True)
class PrintedCover:
    """Title page and header; ``notice`` is empty for a real cohort."""

    title: str
    centre: str
    window: str
    data_cut_off: str
    version: str
    notice: str
    language: str

    def lines(self) -> list[tuple[str, str]]:
        """Name and value of each line under the title."""
        return [
            ("Centre", self.centre or words.NOT_STATED),
            ("Dates of the study", self.window or words.NOT_STATED),
            ("Data cut-off", self.data_cut_off or words.NOT_STATED),
            ("Version", self.version),
        ]


@dataclass(frozen=True)
class Part:
    """A part of the book: its caption, empty for the page before all parts, and its pages."""

    caption: str
    pages: tuple[str, ...]

    @property
    def label(self) -> str:
        """Label of its first page."""
        return page_label(self.pages[0])
