"""Sphinx extensions of the book: run the chapters, place their outputs, title and bind the pages.

`salvage` is imported from the checkout that holds this file, before any installed copy.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_ROOT = str(Path(__file__).resolve().parent.parent.parent)
if sys.path[:1] != [_ROOT]:
    sys.path.insert(0, _ROOT)


def setup(app: "Sphinx") -> dict[str, Any]:
    """Connect the extensions to Sphinx; the chapters begin to run here, while Sphinx is still
    loading.
    """
    from book.extensions import binding, outputs, print_builder, transforms

    outputs.setup(app)
    transforms.setup(app)
    binding.setup(app)
    print_builder.setup(app)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
