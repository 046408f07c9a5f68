"""Bind the pages: decide which are out of date, title them, mark synthetic data, and write
results.json.
"""

import html
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from book.extensions.cores import usable_cores
from book.extensions.execution import write_atomically
from book.extensions.worker import CohortFacts
from salvage import words

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

NOTICE_CLASS = "synthetic-notice"
RESULTS_FILE = "results.json"
# What a record holds besides the pages: the title and the notice, which stand on all of them.
ON_EVERY_PAGE = " on every page"


def record_file(app: "Sphinx") -> Path:
    """Where a finished build of this builder has written what each page was made from.

    The file exists only while the pages on disk agree with it. Sphinx itself compares the age of a
    page with the age of its source, so it would take a page that an interrupted build left
    half-written, or with the outputs of other data, for a good one.
    """
    return Path(app.outdir).parent / ".cache" / f"pages-{app.builder.name}.json"


def read_record(app: "Sphinx") -> dict[str, str]:
    """What the pages on disk were made from; empty if the last build was not finished or had
    warnings.
    """
    try:
        record = json.loads(record_file(app).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def pages_to_read(
    app: "Sphinx", env: "BuildEnvironment", added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Pages to read again because their outputs have changed since they were written."""
    record = read_record(app)
    app.last_record = record  # type: ignore[attr-defined]  # for `pages_to_write`
    record_file(app).unlink(missing_ok=True)
    again = sorted(
        name
        for name, digest in app.chapters.digests().items()  # type: ignore[attr-defined]
        if record.get(name) != digest and name in env.found_docs
    )
    if again or not record:
        # All builders share what Sphinx has read: what they wrote of it no longer agrees with it.
        for other in record_file(app).parent.glob("pages-*.json"):
            other.unlink(missing_ok=True)
    return again if record else sorted(env.found_docs)


def pages_to_write(app: "Sphinx", env: "BuildEnvironment") -> list[str]:
    """Title the book; every page is written again when the title or the notice changed."""
    facts = cohort_facts(app)
    app.config.html_title = facts["title"]
    record: dict[str, str] = app.last_record  # type: ignore[attr-defined]
    if record.get(ON_EVERY_PAGE) != on_every_page(facts):
        return sorted(env.found_docs)
    return []


def write_in_parallel(app: "Sphinx", env: object) -> None:
    """Write the pages on all cores, once all are read: a chapter is read as soon as it has run.

    Sphinx cuts the pages into one part fewer than it is told, and more parts than cores keep the
    cores busy to the end.
    """
    app.parallel = max(app.parallel, 2 * usable_cores() + 1)


def cohort_facts(app: "Sphinx") -> CohortFacts:
    """Title and kind of the cohort.

    Raises:
        ChapterError: the cohort did not pass its checks; the terminal has shown why.
    """
    return app.chapters.runner.facts()  # type: ignore[attr-defined, no-any-return]


def on_every_page(facts: CohortFacts) -> str:
    """What of the cohort stands on every page."""
    return json.dumps([facts["title"], facts["centre"], notice(facts)], ensure_ascii=False)


def notice(facts: CohortFacts) -> str:
    """The banner that says that these are not patients, as HTML; empty for a real cohort."""
    if not facts["synthetic"]:
        return ""
    return f'<p class="{NOTICE_CLASS}">{html.escape(words.SYNTHETIC_NOTICE)}</p>'


def index_page(app: "Sphinx", facts: CohortFacts) -> str:
    """The page that a folder opens with: it leads to the cover, under the title and the notice that
    every page has.
    """
    cover = app.builder.get_target_uri(app.config.root_doc)
    title = html.escape(facts["title"])
    return (
        f'<!DOCTYPE html>\n<html lang="{app.config.language}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="refresh" content="0; url={cover}">\n<title>{title}</title>\n</head>\n'
        f"<body>\n<main>\n<h1>{title}</h1>\n{notice(facts)}\n"
        f'<p><a href="{cover}">Open the book</a></p>\n'
        "</main>\n</body>\n</html>\n"
    )


def add_to_page(
    app: "Sphinx", pagename: str, templatename: str, context: dict[str, Any], doctree: object
) -> None:
    """Put the title and the notice above the page and the centre into its footer, as text."""
    # docutils makes a list of entries that are no list items, which a screen reader cannot read out
    # as a list.
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')
    facts = cohort_facts(app)
    # The theme puts a title into the page as it is, and Sphinx escapes it once more if it may.
    context["docstitle"] = Markup(html.escape(facts["title"]))
    context["theme_announcement"] = notice(facts)
    # A synthetic cohort has no authors.
    context["author"] = "" if facts["synthetic"] else html.escape(facts["centre"])


def finish(app: "Sphinx", exception: Exception | None) -> None:
    """Write results.json beside the pages, and record what the pages were made from."""
    if exception is not None:
        return
    facts = cohort_facts(app)
    chapters = app.chapters  # type: ignore[attr-defined]
    if app.builder.format == "html":
        write_atomically(Path(app.outdir) / RESULTS_FILE, chapters.runner.results())
        write_atomically(Path(app.outdir) / "index.html", index_page(app, facts))
        # Pieces of the theme's templates that it copies along: not pages, and without the notice.
        for piece in Path(app.outdir, "_static").glob("*macros.html"):
            piece.unlink()
        remove_unused_pictures(app)
    chapters.runner.cache.prune()
    # A page that warned must warn again, so that a second build is no greener than the first; and
    # if an input was edited meanwhile, nobody knows what the pages were made from.
    if not app._warncount and chapters.runner.unchanged():
        record = chapters.digests() | {ON_EVERY_PAGE: on_every_page(facts)}
        write_atomically(record_file(app), json.dumps(record, ensure_ascii=False))


def remove_unused_pictures(app: "Sphinx") -> None:
    """Delete the pictures that no page shows any more, which Sphinx leaves where they are.

    Those of an internal book must not stay beside the pages of a public one.
    """
    drawn = {Path(uri).name for uri in app.env.images}
    # Drawings of the chapters stand in the pages themselves.
    shown = {name for _, name in app.env.images.values()} - drawn
    for folder, used in (
        (Path(app.outdir, app.builder.imagedir), shown),
        (app.chapters.figures, drawn),  # type: ignore[attr-defined]
    ):
        for file in folder.glob("*"):
            if file.name not in used:
                file.unlink()


def setup(app: "Sphinx") -> None:
    """Connect to Sphinx."""
    app.connect("env-get-outdated", pages_to_read)
    app.connect("env-updated", pages_to_write)
    app.connect("env-updated", write_in_parallel)
    # After the theme, which sets its own announcement.
    app.connect("html-page-context", add_to_page, priority=900)
    # After the table of contents, which writes an index.html of its own where there is none.
    app.connect("build-finished", finish, priority=900)
