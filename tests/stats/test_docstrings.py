"""The examples in the docstrings of stats/ and analysis/ give what they say."""

import doctest
import importlib
import pkgutil
from types import ModuleType

import pytest

from salvage import analysis, stats

MODULES = [
    importlib.import_module(f"{package.__name__}.{module.name}")
    for package in (stats, analysis)
    for module in pkgutil.iter_modules(package.__path__)
]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_examples_run(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(("package", "fewest"), [(stats, 15), (analysis, 15)])
def test_there_are_examples(package: ModuleType, fewest: int) -> None:
    inside = [module for module in MODULES if module.__name__.startswith(package.__name__)]
    examples = [t for m in inside for t in doctest.DocTestFinder().find(m) if t.examples]
    assert len(examples) >= fewest
