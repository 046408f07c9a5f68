"""The examples in the docstrings of stats/ give what they say."""

import doctest
import importlib
import pkgutil
from types import ModuleType

import pytest

from salvage import stats

MODULES = [
    importlib.import_module(f"salvage.stats.{module.name}")
    for module in pkgutil.iter_modules(stats.__path__)
]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_examples_run(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


def test_there_are_examples() -> None:
    found = [t for module in MODULES for t in doctest.DocTestFinder().find(module) if t.examples]
    assert len(found) >= 15
