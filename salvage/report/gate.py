"""The cohort of the book, and what a public book shows in the place of what it may not show."""

from functools import cache

from salvage.cohort import Cohort, load
from salvage.disclosure.release import release_of
from salvage.display import show
from salvage.display.show import Shown
from salvage.paths import cohort_path
from salvage.report import public


@cache
def book_cohort() -> Cohort:
    """The cohort of this book: ``$SALVAGE_COHORT``, else the shipped one."""
    book = load(cohort_path())
    if book.study.public:
        # Screened here, once for all chapters: a build reads the cohort before it forks.
        release_of(book)
        show.install(gate_of(book))
    return book


def gate_of(cohort: Cohort) -> show.Gate:
    """The gate of a book of this cohort: what may stand in the place of a thing of its study.

    The public form is found by the thing's name alone. A table, and the sentence that stands in its
    place where there is none, have one name: so the public form does not tell which of them the
    internal book shows. A thing of any other study has no public form.
    """

    def gate(shown: Shown) -> Shown | None:
        form = public.FORMS.get(getattr(shown, "name", ""))
        return form(release_of(cohort)) if form and shown.study is cohort.study else None

    return gate
