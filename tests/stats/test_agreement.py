"""The page that says how near the results come to R's is as the frozen answers say."""

import inspect

import pytest

from salvage.stats import r_rules
from tests.reference import agreement

#: Differences that are allowed: of closed forms, and of what is fitted by iteration.
CLOSED, FITTED = 1e-8, 1e-6
ITERATED = {"Cox model: estimates, limits and P", "Proportional hazards"}


def test_the_page_is_current() -> None:
    assert agreement.PAGE.read_text(encoding="utf-8") == agreement.page()


@pytest.mark.parametrize("method", agreement.METHODS, ids=lambda method: method.name)
def test_every_method_agrees_with_r(method: agreement.Method) -> None:
    assert method.difference < (FITTED if method.name in ITERATED else CLOSED)


def test_every_rule_of_r_has_its_place_on_the_page() -> None:
    rules = {
        name
        for name, rule in inspect.getmembers(r_rules, inspect.isfunction)
        if rule.__module__ == r_rules.__name__ and not name.startswith("_")
    }
    assert {name for method in agreement.METHODS for name in method.rules} == rules


def test_a_number_where_r_has_none_is_a_difference() -> None:
    assert agreement.difference([0.0], [None]) == float("inf")
    assert agreement.difference([1.1, None], [1.0, None]) == pytest.approx(0.1)
    assert (agreement.below(3e-9), agreement.below(0.0)) == ("1e\u22128", "1e\u221212")
