"""Sphinx extensions of the book: run the chapters, place their outputs, title and bind the pages.

`salvage` is imported from the checkout that holds this file, before any installed copy.
"""

import gc
import sys
import zlib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_ROOT = str(Path(__file__).resolve().parent.parent.parent)
if sys.path[:1] != [_ROOT]:
    sys.path.insert(0, _ROOT)


def setup(app: "Sphinx") -> dict[str, Any]:
    """Let the chapters begin to run, load the other extensions of the book meanwhile, and connect
    its own after them.
    """
    source = Path(app.srcdir).resolve()
    if str(source) != _ROOT and (source / "book" / "extensions" / "__init__.py").is_file():
        return _of_checkout(source, app)
    from book.extensions import outputs

    outputs.start_chapters(app)
    # The trees of all pages live until the book is written: looking for garbage among them takes a
    # fifth of a build.
    gc.disable()
    for other in app.config.extensions:
        if other != __name__:
            app.setup_extension(other)
    from book.extensions import binding, drawings, print_builder, terms, transforms

    outputs.setup(app)
    transforms.setup(app)
    terms.setup(app)
    binding.setup(app)
    drawings.setup(app)
    print_builder.setup(app)
    return {"env_version": _version(), "parallel_read_safe": False, "parallel_write_safe": True}


def _version() -> int:
    """Digest of the extensions themselves: where it is another one, Sphinx reads all pages anew."""
    return zlib.crc32(b"".join(f.read_bytes() for f in sorted(Path(__file__).parent.glob("*.py"))))


def _of_checkout(root: Path, app: "Sphinx") -> dict[str, Any]:
    """Set up the extensions of the checkout that is being built.

    The environment may be another checkout's, whose path Python searches first: then this module
    is the other one's, and so would be the package and the data.
    """
    sys.path.insert(0, str(root))
    for name in [name for name in sys.modules if name.split(".")[0] in ("book", "salvage")]:
        del sys.modules[name]
    connected: dict[str, Any] = import_module("book.extensions").setup(app)
    return connected
