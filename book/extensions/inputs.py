"""What the outputs of a chapter depend on, and the digest of all of it."""

import hashlib
import os
import platform
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from salvage import paths

_WORKER = Path(__file__).with_name("worker.py")
# A fence of code, and its options: a YAML block or lines such as ``:tags: [show-input]``.
CELL = re.compile(r"^(?P<fence>`{3,})\{code-cell\}.*\n(?P<body>(?s:.*?))^(?P=fence)`* *$", re.M)
OPTIONS = re.compile(r"\A(?:---\n(?s:.*?)\n---.*\n|(?::.*\n)+)")


def files_under(folder: Path) -> list[Path]:
    """Files of a folder in a fixed order, without caches, hidden files and prose (``.md``)."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix not in {".md", ".pyc"}
        and not any(p.startswith((".", "__pycache__")) for p in path.relative_to(folder).parts)
    )


def _contents(root: Path, files: Iterable[Path]) -> Iterator[bytes]:
    """Name and content of each file; lengths first, so that no two sets of files read the same."""
    for path in files:
        data = path.read_bytes()
        yield f"{path.relative_to(root).as_posix()}\0{len(data)}\0".encode()
        yield data


def _digest(chunks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()[:32]


def shared_digest() -> str:
    """Digest of what every chapter depends on.

    The content of the cohort (not its path), the whole of ``salvage/`` and ``data/``, the locked
    requirements, the Python version, the way chapters are run, and the settings in the environment.
    """
    return _digest(_shared())


def _shared() -> Iterator[bytes]:
    cohort = paths.cohort_path()
    if cohort.is_dir():
        yield from _contents(cohort, files_under(cohort))
    elif cohort.is_file():
        yield from _contents(cohort.parent, [cohort])
    if cohort != paths.DATA:
        yield from _contents(paths.DATA, files_under(paths.DATA))
    package = Path(paths.__file__).parent
    yield from _contents(package, files_under(package))
    yield from _contents(_WORKER.parent, [_WORKER])
    lock = paths.ROOT / "requirements.txt"
    yield from _contents(paths.ROOT, [lock])
    yield f"{platform.python_implementation()} {platform.python_version()}\0".encode()
    for name, value in sorted(os.environ.items()):
        if name.startswith("SALVAGE_") and name != paths.COHORT_VARIABLE:
            yield f"{name}={value}\0".encode()


def chapter_digest(shared: str, name: str, sources: Sequence[str]) -> str:
    """Digest that names the outputs of one chapter: its code on top of what all chapters share."""
    return _digest(
        [shared.encode(), name.encode(), *(f"\0{len(s)}\0{s}".encode() for s in sources)]
    )


def code_cells(text: str) -> list[str]:
    """Sources of the code cells of a chapter in MyST Markdown.

    This is a quick reading made before Sphinx and its Markdown parser are loaded. The page's own
    parser has the last word: where it disagrees, the chapter is executed again from its cells.
    """
    return [normal(OPTIONS.sub("", cell["body"])) for cell in CELL.finditer(text)]


def normal(source: str) -> str:
    """A cell's source without blank lines around it: the same code, however it was read."""
    return source.strip("\n").rstrip()
