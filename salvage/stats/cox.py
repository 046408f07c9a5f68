"""Cox models: arrays in, numbers out.

The engine is the `survival` package, R's own algorithms in Rust; the tests hold it to R. Ties
are Efron's. A likelihood without a maximum (monotone: some covariate orders all events) gives no
estimates and says so; Firth's penalised likelihood then does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special
from survival import regression

from salvage.stats import firth
from salvage.stats._arrays import (
    Bools,
    Floats,
    Ints,
    as_codes,
    as_matrix,
    collinear,
    exp,
    finite,
    intervals_with_length,
    same_length,
    survival_arrays,
)
from salvage.stats.survival import Test, chi2_test

Numbers = tuple[float | None, ...]

#: The package binds its functions at run time, where a type checker cannot see them.
_ENGINE: Any = regression

COX = "Cox, Efron ties, Wald interval"
ROBUST = "Cox, Efron ties, Wald interval with cluster-robust standard error"
FIRTH = "Firth's penalised Cox, Breslow ties, profile interval"
COX_FOR_MANY = f"{COX}; Firth's penalty is left out, since it has no weight in this many rows"

#: Rows above which Firth's penalty, of weight 1 against all events, is not worth its search.
FIRTH_ROWS = 200_000

#: Tighter than R's defaults (1e-9, 20), so that the fit is the maximum to the last digits.
_EPS, _ITERATIONS = 1e-13, 60
#: A linear predictor that spans more than this, or a standard error this large against the spread
#: of the covariate, is looked at for a monotone likelihood. Finite maxima stay far below.
_WIDE_SPAN, _WIDE_ERROR = 10.0, 30.0
#: Up to this many comparisons of an event with a row at risk, monotony is decided exactly.
_EXACT_PAIRS = 400_000
#: The engine's flag for a fit that ran out of steps, as in R.
_NOT_CONVERGED = 1000
#: Smallest sum of scaled contrasts that counts as a strict ranking, above the solver's 1e-7.
_STRICT = 1e-5
#: A robust standard error below this share of the model's is rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class CoxFit:
    """A fitted model; tuples have one place per covariate, None where not estimable.

    `coef` is the log hazard ratio, `low` and `high` are 95% limits of the hazard ratio, `p` is
    the Wald P-value, or the penalised likelihood-ratio P-value of a Firth fit. `se` is the model
    based standard error; where `robust_se` is not None, limits and `p` use that. `monotone` says
    that the likelihood has no maximum. `lr`, `wald` and `score` test all covariates together,
    without a penalty; `wald` is None for a monotone likelihood. `reason` says why estimates are
    missing.
    """

    names: tuple[str, ...]
    coef: Numbers
    se: Numbers
    robust_se: Numbers | None
    hr: Numbers
    low: Numbers
    high: Numbers
    p: Numbers
    lr: Test | None
    wald: Test | None
    score: Test | None
    n: int
    events: int
    loglik: float | None
    ties: str
    method: str
    converged: bool
    monotone: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Zph:
    """Tests of proportional hazards: one per covariate, and one for all together."""

    names: tuple[str, ...]
    terms: tuple[Test, ...]
    overall: Test


@dataclass(frozen=True, slots=True)
class _Data:
    """Checked rows that are at risk at some time, ready for the engine."""

    x: Floats
    time: Floats
    event: Bools
    entry: Floats | None
    strata: Ints | None
    cluster: Ints | None
    names: tuple[str, ...]


def cox(
    X: npt.ArrayLike,
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    entry: npt.ArrayLike | None = None,
    strata: npt.ArrayLike | None = None,
    cluster: npt.ArrayLike | None = None,
    names: Sequence[str] | None = None,
) -> CoxFit:
    """Cox regression with Efron ties and Wald intervals.

    `X` has n rows and one column per covariate, or is one column of n. With `entry`, a row is at
    risk after `entry` up to `time` (left truncation, or start-stop rows); rows without length are
    left out, as in R. `strata` gives separate baselines, `cluster` (for instance the patient of
    each start-stop row) Lin and Wei's robust standard errors. ValueError for missing or infinite
    values, negative times, or unequal lengths. Method: R `coxph`.
    """
    data = _prepare(X, time, event, entry, strata, cluster, names)
    varying = _varying(data.x)
    if not data.event.any():
        return _without_estimates(data, "no event")
    if not varying.any():
        return _without_estimates(data, "no covariate varies")
    if collinear(data.x[:, varying]):
        return _without_estimates(data, "the covariates determine one another")
    found = _fit(data, varying)
    if _monotone(data, varying, found):
        return replace(
            _without_estimates(
                data, "a covariate orders all events: the likelihood has no maximum"
            ),
            lr=found.lr,
            score=found.score,
            loglik=found.loglik,
            monotone=True,
        )
    if found.stopped or found.singular:
        return _without_estimates(data, "no event has a contrast in its risk set")
    return _with_estimates(data, varying, found)


def zph(
    X: npt.ArrayLike,
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    entry: npt.ArrayLike | None = None,
    strata: npt.ArrayLike | None = None,
    names: Sequence[str] | None = None,
) -> Zph | None:
    """Grambsch-Therneau score test of proportional hazards on the Kaplan-Meier time scale.

    Arguments as `cox`. None where the model has no finite estimates, fewer than two event times,
    a covariate that does not vary, or too few events for the test. Method: R
    `cox.zph(transform = "km")`.
    """
    model = cox(X, time, event, entry, strata, None, names)
    data = _prepare(X, time, event, entry, strata, None, names)
    if not model.converged or None in model.coef or len(np.unique(data.time[data.event])) < 2:
        return None
    engine = _ENGINE.coxph_fit(**_rows(data, data.x), iter_max=_ITERATIONS, eps=_EPS)
    try:
        tested = _ENGINE.cox_zph(engine, transform="km")
    except RuntimeError:
        # The engine's word for a singular variance: too few events tell the covariates apart.
        return None
    terms = [chi2_test(float(row.chisq), int(row.df)) for row in tested.table]
    whole = tested.global_test
    overall = None if whole is None else chi2_test(float(whole.chisq), int(whole.df))
    known = tuple(term for term in terms if term is not None)
    if overall is None or len(known) < len(terms):
        return None
    return Zph(data.names, known, overall)


def firth_cox(
    X: npt.ArrayLike,
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    names: Sequence[str] | None = None,
) -> CoxFit:
    """Cox regression with Firth's penalty, profile intervals and penalised likelihood-ratio P.

    Arguments as `cox`. Ties are Breslow's. A limit that the search does not find is None. Above
    `FIRTH_ROWS` rows the penalty changes nothing that is ever printed: the Cox model is then
    given, if it has a maximum, and `method` says so. Method: Heinze and Schemper 2001, as R
    coxphf, by the firthmodels package.
    """
    if len(np.asarray(time)) > FIRTH_ROWS:
        plain = cox(X, time, event, names=names)
        if plain.converged:
            return replace(plain, method=COX_FOR_MANY)
    data = _prepare(X, time, event, None, None, None, names)
    varying = _varying(data.x)
    if not data.event.any():
        return _without_estimates(data, "no event", FIRTH, "breslow")
    if not varying.any():
        return _without_estimates(data, "no covariate varies", FIRTH, "breslow")
    found = firth.fit_cox(data.x[:, varying], data.time, data.event)
    if found is None:
        reason = "no event has a contrast in its risk set, or the covariates determine one another"
        return _without_estimates(data, reason, FIRTH, "breslow")
    return CoxFit(
        names=data.names,
        coef=_spread(found.coef, varying),
        se=_spread(found.se, varying),
        robust_se=None,
        hr=_spread(exp(found.coef), varying),
        low=_spread(exp(found.low), varying),
        high=_spread(exp(found.high), varying),
        p=_spread(found.p, varying),
        lr=None,
        wald=None,
        score=None,
        n=len(data.time),
        events=int(data.event.sum()),
        loglik=found.loglik,
        ties="breslow",
        method=FIRTH,
        converged=True,
        monotone=False,
        reason=None if varying.all() else "a covariate does not vary",
    )


def cox_or_firth(
    X: npt.ArrayLike,
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    entry: npt.ArrayLike | None = None,
    names: Sequence[str] | None = None,
) -> CoxFit:
    """The Cox model, or Firth's where the likelihood has no maximum; `method` says which.

    With `entry` there is no Firth fit to take its place: the estimates are then None.
    """
    plain = cox(X, time, event, entry=entry, names=names)
    if plain.converged or not plain.monotone or entry is not None:
        return plain
    penalised = firth_cox(X, time, event, names)
    return replace(
        penalised,
        method=f"{FIRTH}, because the Cox model does not converge",
        monotone=True,
        lr=plain.lr,
        score=plain.score,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """What the engine found for the covariates that vary."""

    coef: Floats
    var: Floats
    loglik: float
    lr: Test | None
    score: Test | None
    singular: bool
    stopped: bool


def _prepare(
    X: npt.ArrayLike,
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    entry: npt.ArrayLike | None,
    strata: npt.ArrayLike | None,
    cluster: npt.ArrayLike | None,
    names: Sequence[str] | None,
) -> _Data:
    stop, dead, start = survival_arrays(time, event, entry)
    x = as_matrix(X)
    labels = tuple(names) if names is not None else tuple(f"x{i}" for i in range(x.shape[1]))
    if len(labels) != x.shape[1]:
        raise ValueError(f"{len(labels)} names for {x.shape[1]} covariates")
    groups = None if strata is None else as_codes(strata, "strata")[0]
    clusters = None if cluster is None else as_codes(cluster, "cluster")[0]
    same_length(X=x, time=stop, strata=groups, cluster=clusters)
    kept = intervals_with_length(stop, start)
    return _Data(
        x=x[kept],
        time=stop[kept],
        event=dead[kept],
        entry=None if start is None else start[kept],
        strata=None if groups is None else groups[kept],
        cluster=None if clusters is None else as_codes(clusters[kept], "cluster")[0],
        names=labels,
    )


def _varying(x: Floats) -> Bools:
    if len(x) == 0:
        return np.zeros(x.shape[1], dtype=bool)
    return np.asarray((x != x[0]).any(axis=0), dtype=bool)


def _rows(data: _Data, x: Floats) -> dict[str, Any]:
    """The engine's names for the rows."""
    return {
        "time": data.time,
        "status": data.event.astype(np.int64),
        "x": x,
        "entry": data.entry,
        "strata": data.strata,
    }


def _fit(data: _Data, varying: Bools) -> _Found:
    rows = _rows(data, data.x[:, varying])
    # Without residuals, which a million rows do not need.
    engine = _ENGINE.coxph_fit_raw(**rows, iter_max=_ITERATIONS, eps=_EPS, resid=False)
    var = np.asarray(engine.var, dtype=np.float64)
    coef = np.asarray(engine.coefficients, dtype=np.float64)
    null, best = engine.loglik
    return _Found(
        coef=coef,
        var=var,
        loglik=float(best),
        lr=chi2_test(2 * (best - null), len(coef)),
        score=chi2_test(float(engine.score), len(coef)),
        singular=bool(np.isnan(coef).any() or not (np.diag(var) > 0).all()),
        stopped=int(engine.iter) >= _ITERATIONS or int(engine.flag) == _NOT_CONVERGED,
    )


def _monotone(data: _Data, varying: Bools, found: _Found) -> bool:
    """Whether the likelihood rises without end along some direction of the covariates.

    A fit that looks suspicious is decided exactly where that is affordable; otherwise a
    standard error far above the spread of its covariate decides, since only a likelihood that
    has become flat gives one.
    """
    x = data.x[:, varying]
    spread = x.std(axis=0)
    # The engine leaves out a covariate whose information has vanished: NaN.
    predictor = (x - x.mean(axis=0)) @ np.nan_to_num(found.coef)
    wide = bool(np.ptp(predictor) > _WIDE_SPAN)
    flat = bool((np.sqrt(np.diag(found.var)) * spread > _WIDE_ERROR).any())
    if not (wide or flat or found.stopped or found.singular):
        return False
    if int(data.event.sum()) * len(x) > _EXACT_PAIRS:
        return flat
    return _has_recession(_event_contrasts(data, x / spread))


def _event_contrasts(data: _Data, x: Floats) -> Floats:
    """Distinct differences in covariates: each event minus each row at risk at its time."""
    found = []
    for row in np.flatnonzero(data.event):
        at_risk = data.time >= data.time[row]
        if data.entry is not None:
            at_risk &= data.entry < data.time[row]
        if data.strata is not None:
            at_risk &= data.strata == data.strata[row]
        found.append(np.unique(x[row] - x[at_risk], axis=0))
    return np.asarray(np.unique(np.concatenate(found), axis=0), dtype=np.float64)


def _has_recession(contrasts: Floats) -> bool:
    """Whether one direction ranks every event at or above all others at risk, some strictly.

    The directions that do form a cone, so that the best one within a box is either zero or at
    the box's wall: nothing lies between, and rounding cannot blur the answer.
    """
    if not contrasts.any():
        return False
    if contrasts.shape[1] == 1:
        return bool((contrasts >= 0).all() or (contrasts <= 0).all())
    from scipy import optimize

    size = np.abs(contrasts).max()
    answer: Any = optimize.linprog(
        -contrasts.sum(axis=0) / size,
        A_ub=-contrasts / size,
        b_ub=np.zeros(len(contrasts)),
        bounds=(-1, 1),
        method="highs",
    )
    return bool(answer.status == 0 and -answer.fun > _STRICT and np.abs(answer.x).max() > 0.5)


def _with_estimates(data: _Data, varying: Bools, found: _Found) -> CoxFit:
    se = np.sqrt(np.diag(found.var))
    used = found.var if data.cluster is None else _robust_variance(data, varying)
    error: Floats = np.sqrt(np.diag(used))
    # One cluster, or clusters that cancel, leave rounding for a variance, and so no interval.
    error = np.where(error > _ROUNDING * se, error, np.nan)
    margin: Floats = float(special.ndtri(0.975)) * error
    p = np.asarray(2 * special.ndtr(-np.abs(found.coef / error)), dtype=np.float64)
    return CoxFit(
        names=data.names,
        coef=_spread(found.coef, varying),
        se=_spread(se, varying),
        robust_se=None if data.cluster is None else _spread(error, varying),
        hr=_spread(exp(found.coef), varying),
        low=_spread(exp(found.coef - margin), varying),
        high=_spread(exp(found.coef + margin), varying),
        p=_spread(p, varying),
        lr=found.lr,
        wald=None if np.isnan(error).any() else _wald(found.coef, used),
        score=found.score,
        n=len(data.time),
        events=int(data.event.sum()),
        loglik=found.loglik,
        ties="efron",
        method=COX if data.cluster is None else ROBUST,
        converged=True,
        monotone=False,
        reason=None if varying.all() else "a covariate does not vary",
    )


def _robust_variance(data: _Data, varying: Bools) -> Floats:
    engine = _ENGINE.coxph_fit(
        **_rows(data, data.x[:, varying]),
        iter_max=_ITERATIONS,
        eps=_EPS,
        cluster=data.cluster,
    )
    return np.asarray(engine.var, dtype=np.float64)


def _wald(coef: Floats, var: Floats) -> Test | None:
    if np.linalg.matrix_rank(var, hermitian=True) < len(coef):
        return None
    return chi2_test(float(coef @ np.linalg.solve(var, coef)), len(coef))


def _without_estimates(data: _Data, reason: str, method: str = COX, ties: str = "efron") -> CoxFit:
    none: Numbers = (None,) * len(data.names)
    return CoxFit(
        names=data.names,
        coef=none,
        se=none,
        robust_se=None,
        hr=none,
        low=none,
        high=none,
        p=none,
        lr=None,
        wald=None,
        score=None,
        n=len(data.time),
        events=int(data.event.sum()),
        loglik=None,
        ties=ties,
        method=method,
        converged=False,
        monotone=False,
        reason=reason,
    )


def _spread(values: Floats, varying: Bools) -> Numbers:
    """One place per covariate: the value, or None where it does not vary or is not finite."""
    found = iter(values)
    return tuple(finite(float(next(found))) if one else None for one in varying)
