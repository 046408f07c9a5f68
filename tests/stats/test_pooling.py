"""The random-effects mean of proportions against R and against its integral."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import expit, logit
from scipy.stats import norm
from scipy.stats import t as student

from salvage.stats import pooling
from salvage.stats.pooling import pool

# R 4.2.2, lme4 1.1-31: glmer(cbind(x, n - x) ~ 1 + (1 | study), family = binomial, nAGQ = 25);
# metafor 3.8-1: rma.glmm(measure = "PLO", xi = x, ni = n) prints the same. Mean, its standard
# error, tau2.
R = [
    ([8, 25, 7, 3], [27, 57, 13, 12], (-0.4284546263, 0.1959778886, 0.0)),
    ([1, 18, 30, 0, 12], [12, 96, 50, 20, 25], (-1.3961147503, 0.7670011573, 2.2354614032)),
    ([5, 6, 5], [12, 13, 11], (-0.22314355131, 0.33541019152, 0.0)),
]


@pytest.mark.parametrize(("events", "n", "expected"), R)
def test_pooling_agrees_with_r(events, n, expected):
    mean, se, tau2 = expected
    result = pool(events, n)
    # R stops its search when the deviance settles, at about six digits.
    assert float(logit(result.value)) == pytest.approx(mean, rel=1e-5)
    assert result.tau2 == pytest.approx(tau2, rel=2e-5)
    k = len(events)
    half = student.ppf(0.975, k - 1) * se
    ahead = student.ppf(0.975, k - 2) * np.sqrt(tau2 + se**2)
    assert logit([result.low, result.high]) == pytest.approx((mean - half, mean + half), abs=2e-5)
    assert logit([result.predicted_low, result.predicted_high]) == pytest.approx(
        (mean - ahead, mean + ahead), abs=2e-5
    )
    assert (result.studies, result.events, result.n) == (k, sum(events), sum(n))


def test_the_likelihood_is_the_integral():
    x, m, mean, tau = np.array([1.0, 30.0, 0.0]), np.array([12.0, 50.0, 20.0]), -1.2, 1.4

    def study(events: float, n: float) -> float:
        def density(u: float) -> float:
            p = expit(mean + tau * u)
            return p**events * (1 - p) ** (n - events) * norm.pdf(u)

        return float(np.log(quad(density, -9, 9, epsabs=0, epsrel=1e-12, limit=400)[0]))

    expected = sum(study(a, b) for a, b in zip(x, m, strict=True))
    step = pooling._DEVIATE[1] - pooling._DEVIATE[0]
    constant = len(x) * np.log(step / np.sqrt(2 * np.pi))
    assert pooling._log_likelihood(x, m, mean, tau) + constant == pytest.approx(expected, abs=1e-9)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 20), st.integers(21, 60)), min_size=3, max_size=5))
def test_responders_and_others_mirror_each_other(counts):
    events, n = map(list, zip(*counts, strict=True))
    one, other = pool(events, n), pool([b - a for a, b in counts], n)
    assert one.value == pytest.approx(1 - other.value, abs=1e-4)
    assert (one.low, one.high) == pytest.approx((1 - other.high, 1 - other.low), abs=1e-3)
    assert one.predicted_low <= one.low <= one.value <= one.high <= one.predicted_high


def test_what_cannot_be_pooled_is_refused():
    with pytest.raises(ValueError, match="2 studies are fewer than 3"):
        pool([1, 2], [5, 5])
    for events in ([0, 0, 0], [5, 5, 5]):
        with pytest.raises(ValueError, match="nobody or everybody"):
            pool(events, [5, 5, 5])
