"""Cox models: arrays in, numbers out.

lifelines fits them, with Efron's ties; the tests hold it to R, as they do what `r_rules` adds: the
score test, the test of proportional hazards, and the rule for a likelihood without a maximum
(monotone: some covariate orders all events). That gives no estimates and says so; Firth's
penalised likelihood then does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from lifelines import CoxPHFitter
from lifelines.exceptions import ConvergenceError
from scipy import special

from salvage.stats import firth, r_rules
from salvage.stats._arrays import (
    Bools,
    Floats,
    as_matrix,
    collinear,
    exp,
    finite,
    quiet,
    same_length,
)
from salvage.stats.survival import ChiSquare, chi_square, survival_arrays

Numbers = tuple[float | None, ...]

COX = "Cox, Efron ties, Wald interval"
FIRTH = "Firth's penalised Cox, Breslow ties, profile interval"
COX_FOR_MANY = f"{COX}; Firth's penalty is left out, since it has no weight in this many rows"

#: Rows above which Firth's penalty, of weight 1 against all events, is not worth its search.
FIRTH_ROWS = 200_000

#: Newton's search ends where half a squared distance to the maximum, in standard errors, is below
#: the precision. Full steps go to the last digits. Where there is no maximum they break off, and a
#: coarser search tells how high the likelihood rises; where they leap past it, shorter ones arrive.
_SEARCHES: tuple[dict[str, float], ...] = (
    {"precision": 1e-20, "step_size": 1.0},
    {"precision": 1e-10, "step_size": 1.0},
    {"precision": 1e-14, "step_size": 0.5},
    {"precision": 1e-14, "step_size": 0.1},
)
_STEPS = 100
#: A linear predictor that spans more than this, or a standard error this large against the spread
#: of the covariate, is looked at for a monotone likelihood. Finite maxima stay far below.
_WIDE_SPAN, _WIDE_ERROR = 10.0, 30.0
#: Up to this many comparisons of an event with a row at risk, monotony is decided exactly.
_EXACT_PAIRS = 400_000


@dataclass(frozen=True, slots=True)
class CoxFit:
    """A fitted model; tuples have one place per covariate, None where not estimable.

    `coef` is the log hazard ratio, `se` its standard error, `low` and `high` are 95% limits of
    the hazard ratio, `p` is the Wald P-value, or the penalised likelihood-ratio P-value of a Firth
    fit. `monotone` says that the likelihood has no maximum. `lr`, `wald` and `score` test all
    covariates together, without a penalty; `wald` is None for a monotone likelihood. `reason` says
    why estimates are missing.
    """

    names: tuple[str, ...]
    coef: Numbers
    se: Numbers
    hr: Numbers
    low: Numbers
    high: Numbers
    p: Numbers
    lr: ChiSquare | None
    wald: ChiSquare | None
    score: ChiSquare | None
    n: int
    events: int
    loglik: float | None
    method: str
    converged: bool
    monotone: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Zph:
    """Tests of proportional hazards: one per covariate, and one for all together."""

    names: tuple[str, ...]
    terms: tuple[ChiSquare, ...]
    overall: ChiSquare


@dataclass(frozen=True, slots=True)
class _Data:
    """Checked rows that are at risk at some time."""

    x: Floats
    time: Floats
    event: Bools
    entry: Floats | None
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Fitted:
    """Where lifelines' search ended, for the covariates that vary; `lr` is 2 (loglik - null)."""

    coef: Floats
    variance: Floats
    loglik: float
    lr: float

    @property
    def maximum(self) -> bool:
        """Whether the likelihood has risen there and falls on every side."""
        return bool(self.lr >= 0 and (np.diag(self.variance) > 0).all())


def cox(
    X: npt.ArrayLike,
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    entry: npt.ArrayLike | None = None,
    names: Sequence[str] | None = None,
) -> CoxFit:
    """Cox regression with Efron ties and Wald intervals.

    Parameters
    ----------
    X
        n rows and one column per covariate, or one column of n.
    time, event
        n durations in any one unit, and whether each ended in the event.
    entry
        A row is at risk after `entry` up to `time` (left truncation, or start-stop rows); rows
        without length are left out, as in R.
    names
        Of the covariates.

    Returns
    -------
    The model; without estimates and with the reason where there are none.

    Raises
    ------
    ValueError
        For missing or infinite values, negative times, or unequal lengths.

    Method: lifelines `CoxPHFitter` to the last digits, as R `coxph`.

    >>> model = cox([0, 1, 0, 1, 1, 0], [1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 0, 1])
    >>> round(model.hr[0], 3)
    0.76
    """
    data = _prepare(X, time, event, entry, names)
    varying = _varying(data.x)
    if not data.event.any():
        return _without_estimates(data, "no event")
    if not varying.any():
        return _without_estimates(data, "no covariate varies")
    if collinear(data.x[:, varying]):
        return _without_estimates(data, "the covariates determine one another")
    x = data.x[:, varying]
    score = r_rules.score_test(x / x.std(axis=0), data.time, data.event, data.entry)
    if score is None:
        return _without_estimates(data, "no event has a contrast in its risk set")
    fitted = _fit(data, x)
    tested = chi_square(score, x.shape[1])
    if _monotone(data, x, fitted):
        return replace(
            _without_estimates(
                data, "a covariate orders all events: the likelihood has no maximum"
            ),
            lr=None if fitted is None else chi_square(fitted.lr, x.shape[1]),
            score=tested,
            loglik=None if fitted is None else fitted.loglik,
            monotone=True,
        )
    if fitted is None or not fitted.maximum:
        return _without_estimates(data, "the search for the maximum broke off")
    return _with_estimates(data, varying, fitted, tested)


def zph(
    X: npt.ArrayLike,
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    entry: npt.ArrayLike | None = None,
    names: Sequence[str] | None = None,
) -> Zph | None:
    """Score test of proportional hazards on the Kaplan-Meier time scale.

    Parameters
    ----------
    X, time, event, entry, names
        As `cox`.

    Returns
    -------
    The tests; None where the model has no finite estimates, with fewer than two event times, a
    covariate that does not vary, or too few events for the test.

    Raises
    ------
    ValueError
        As `cox`.

    Method: Grambsch and Therneau, as R `cox.zph(transform = "km")`; see `r_rules.zph`.
    """
    model = cox(X, time, event, entry, names)
    data = _prepare(X, time, event, entry, names)
    if not model.converged or None in model.coef or len(np.unique(data.time[data.event])) < 2:
        return None
    spread = data.x.std(axis=0)
    coef = np.array(model.coef, dtype=np.float64) * spread
    statistics = r_rules.zph(data.x / spread, data.time, data.event, data.entry, coef)
    if statistics is None:
        return None
    each, together = statistics
    terms = [chi_square(statistic, 1) for statistic in each]
    overall = chi_square(together, len(each))
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

    Parameters
    ----------
    X, time, event, names
        As `cox`.

    Returns
    -------
    The model, with Breslow's ties. A limit that the search does not find is None. Above
    `FIRTH_ROWS` rows the penalty changes nothing that is ever printed: the Cox model is then
    given, if it has a maximum, and `method` says so.

    Raises
    ------
    ValueError
        As `cox`.

    Method: Heinze and Schemper 2001, as R coxphf, by the firthmodels package.

    >>> model = firth_cox([1, 1, 0, 0], [1, 2, 3, 4], [1, 1, 1, 1])
    >>> round(model.hr[0], 1)
    7.6
    """
    if len(np.asarray(time)) > FIRTH_ROWS:
        plain = cox(X, time, event, names=names)
        if plain.converged:
            return replace(plain, method=COX_FOR_MANY)
    data = _prepare(X, time, event, None, names)
    varying = _varying(data.x)
    if not data.event.any():
        return _without_estimates(data, "no event", FIRTH)
    if not varying.any():
        return _without_estimates(data, "no covariate varies", FIRTH)
    penalised = firth.fit_cox(data.x[:, varying], data.time, data.event)
    if penalised is None:
        reason = "no event has a contrast in its risk set, or the covariates determine one another"
        return _without_estimates(data, reason, FIRTH)
    return CoxFit(
        names=data.names,
        coef=_spread(penalised.coef, varying),
        se=_spread(penalised.se, varying),
        hr=_spread(exp(penalised.coef), varying),
        low=_spread(exp(penalised.low), varying),
        high=_spread(exp(penalised.high), varying),
        p=_spread(penalised.p, varying),
        lr=None,
        wald=None,
        score=None,
        n=len(data.time),
        events=int(data.event.sum()),
        loglik=penalised.loglik,
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

    Parameters
    ----------
    X, time, event, entry, names
        As `cox`.

    Returns
    -------
    The model. With `entry` there is no Firth fit to take its place: the estimates are then None.

    Raises
    ------
    ValueError
        As `cox`.
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


def _prepare(
    X: npt.ArrayLike,
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    entry: npt.ArrayLike | None,
    names: Sequence[str] | None,
) -> _Data:
    stop, dead, start, at_risk = survival_arrays(time, event, entry)
    x = as_matrix(X)
    labels = tuple(names) if names is not None else tuple(f"x{i}" for i in range(x.shape[1]))
    if len(labels) != x.shape[1]:
        raise ValueError(f"{len(labels)} names for {x.shape[1]} covariates")
    same_length(X=x, time=at_risk)
    return _Data(x[at_risk], stop, dead, start, labels)


def _varying(x: Floats) -> Bools:
    if len(x) == 0:
        return np.zeros(x.shape[1], dtype=bool)
    return np.asarray((x != x[0]).any(axis=0), dtype=bool)


def _fit(data: _Data, x: Floats) -> _Fitted | None:
    """The maximum by lifelines, or the highest place of its searches; None if all break off."""
    frame = pd.DataFrame(x).add_prefix("x").assign(time=data.time, event=data.event)
    if data.entry is not None:
        frame["entry"] = data.entry
    highest: _Fitted | None = None
    for search in _SEARCHES:
        fitted = _search(frame, None if data.entry is None else "entry", search)
        if fitted is not None and fitted.maximum:
            return fitted
        if fitted is not None and (highest is None or fitted.loglik > highest.loglik):
            highest = fitted
    return highest


def _search(frame: pd.DataFrame, entry: str | None, search: dict[str, float]) -> _Fitted | None:
    """One search by lifelines; None where it breaks off."""
    # Convergence is not judged by the likelihood, which changes less than the estimates.
    options = {**search, "r_precision": 0.0, "max_steps": _STEPS}
    try:
        with quiet():
            fitter = CoxPHFitter().fit(frame, "time", "event", entry_col=entry, fit_options=options)
            tested = fitter.log_likelihood_ratio_test()
    except ConvergenceError:
        return None
    return _Fitted(
        coef=fitter.params_.to_numpy(dtype=np.float64),
        variance=fitter.variance_matrix_.to_numpy(dtype=np.float64),
        loglik=float(fitter.log_likelihood_),
        lr=float(tested.test_statistic),
    )


def _monotone(data: _Data, x: Floats, fitted: _Fitted | None) -> bool:
    """Whether the likelihood rises without end along some direction of the covariates.

    A fit that broke off or looks suspicious is decided exactly where that is affordable; otherwise
    a standard error far above the spread of its covariate decides, since only a likelihood that
    has become flat gives one.
    """
    spread = x.std(axis=0)
    flat = True
    if fitted is not None:
        with np.errstate(invalid="ignore"):
            flat = not (np.sqrt(np.diag(fitted.variance)) * spread <= _WIDE_ERROR).all()
        if not flat and np.ptp(x @ fitted.coef) <= _WIDE_SPAN:
            return False
    if int(data.event.sum()) * len(x) > _EXACT_PAIRS:
        return flat
    return not r_rules.has_maximum(_event_contrasts(data, x / spread))


def _event_contrasts(data: _Data, x: Floats) -> Floats:
    """Distinct differences in covariates: each event minus each row at risk at its time."""
    contrasts = []
    for row in np.flatnonzero(data.event):
        at_risk = data.time >= data.time[row]
        if data.entry is not None:
            at_risk &= data.entry < data.time[row]
        contrasts.append(np.unique(x[row] - x[at_risk], axis=0))
    return np.asarray(np.unique(np.concatenate(contrasts), axis=0), dtype=np.float64)


def _with_estimates(
    data: _Data, varying: Bools, fitted: _Fitted, score: ChiSquare | None
) -> CoxFit:
    se: Floats = np.sqrt(np.diag(fitted.variance))
    margin: Floats = float(special.ndtri(0.975)) * se
    p = np.asarray(2 * special.ndtr(-np.abs(fitted.coef / se)), dtype=np.float64)
    return CoxFit(
        names=data.names,
        coef=_spread(fitted.coef, varying),
        se=_spread(se, varying),
        hr=_spread(exp(fitted.coef), varying),
        low=_spread(exp(fitted.coef - margin), varying),
        high=_spread(exp(fitted.coef + margin), varying),
        p=_spread(p, varying),
        lr=chi_square(fitted.lr, len(se)),
        wald=_wald(fitted.coef, fitted.variance),
        score=score,
        n=len(data.time),
        events=int(data.event.sum()),
        loglik=fitted.loglik,
        method=COX,
        converged=True,
        monotone=False,
        reason=None if varying.all() else "a covariate does not vary",
    )


def _wald(coef: Floats, var: Floats) -> ChiSquare | None:
    return chi_square(float(coef @ np.linalg.solve(var, coef)), len(coef))


def _without_estimates(data: _Data, reason: str, method: str = COX) -> CoxFit:
    none: Numbers = (None,) * len(data.names)
    return CoxFit(
        names=data.names,
        coef=none,
        se=none,
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
        method=method,
        converged=False,
        monotone=False,
        reason=reason,
    )


def _spread(values: Floats, varying: Bools) -> Numbers:
    """One place per covariate: the value, or None where it does not vary or is not finite."""
    remaining = iter(values)
    return tuple(finite(float(next(remaining))) if one else None for one in varying)
