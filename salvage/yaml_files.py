"""Read the project's own YAML: the facts, the comparators and the STROBE items under ``data/``."""

from pathlib import Path
from typing import Any

import yaml

# libyaml's parser, ten times as fast, comes with most builds of PyYAML.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> Any:
    """What a YAML file holds: plain values, never objects."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
