"""Prognostic factors for overall survival: Cox models sized to a small cohort."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salvage import words
from salvage.analysis import least, survival
from salvage.analysis.estimate import Estimate, by_id, estimate
from salvage.analysis.provenance import Mark
from salvage.analysis.survival import Times
from salvage.cohort import Cohort, once
from salvage.cohort.schema import POOR_ECOG
from salvage.cohort.study import Study
from salvage.stats import cox
from salvage.stats import survival as km
from salvage.stats.r_rules import TIME_TOLERANCE

CUT_OFFS: Final = (1.0, 2.0, 3.0, 4.0, 6.0)
NOBODY: Final = "nobody is at risk"
NO_MAXIMUM: Final = "the likelihood has no maximum"
PRESPECIFIED: Final = ("relapse_month", "ecog")
#: Months of which one is the unit of the time to relapse.
UNITS: Final = (1, 3, 6, 12)

Values = Callable[[Cohort], "pd.Series[float]"]


@dataclass(frozen=True)
class Factor:
    """A covariate: its column of the patients table, and how a number is made of it.

    ``kind`` is ``number`` (the ratio is per unit), ``group`` (one against the rest), or ``most``
    (the most frequent text of the column against all others).
    """

    key: str
    column: str
    kind: str
    values: Values

    def label(self, cohort: Cohort) -> str:
        """What the ratio compares, in the reader's words."""
        label = words.FACTORS[self.key]
        if self.key == "relapse_month":
            unit = relapse_unit(cohort)
            return f"{label}, per {'month' if unit == 1 else words.months(unit)}"
        if self.kind != "most":
            return label
        most = most_frequent(cohort, self.column)
        return label if most is None else f"{label}: {most} against others"


def relapse_unit(cohort: Cohort) -> int:
    """The largest of :data:`UNITS` within the middle half of the times to relapse, in months.

    So a hazard ratio shows what differs between patients of the cohort; per month it can print as
    1.00 whatever its P.
    """
    low, high = np.quantile(cohort.patients["relapse_month"], [0.25, 0.75])
    return max((unit for unit in UNITS if unit <= high - low), default=UNITS[0])


def most_frequent(cohort: Cohort, column: str) -> str | None:
    """The most frequent text of a column.

    Parameters
    ----------
    cohort
        Whose patients are counted.
    column
        Of the table of patients.

    Returns
    -------
    The first of the alphabet where several tie; ``None`` where the column is empty.
    """
    sizes = cohort.patients[column].value_counts()
    return str(min(sizes.index[sizes == sizes.max()])) if len(sizes) else None


def _number(key: str, per: float = 1.0) -> Factor:
    return Factor(key, key, "number", lambda cohort: cohort.patients[key] / per)


def _group(key: str, test: Callable[["pd.Series[float]"], "pd.Series[bool]"]) -> Factor:
    def values(cohort: Cohort) -> "pd.Series[float]":
        column = cohort.patients[key]
        return test(column).astype(float).where(column.notna())

    return Factor(key, key, "group", values)


def _complete(cohort: Cohort) -> "pd.Series[float]":
    """A CR to the first CAR-T; a response that is not evaluable is not known to be less."""
    column = cohort.patients["cart_best_response"]
    return (column == "CR").astype(float).where(column.notna() & (column != "NE"))


def _most(key: str) -> Factor:
    def values(cohort: Cohort) -> "pd.Series[float]":
        column = cohort.patients[key]
        return (column == most_frequent(cohort, key)).astype(float).where(column.notna())

    return Factor(key, key, "most", values)


FACTORS: Final = (
    Factor("late", "relapse_month", "group", lambda cohort: cohort.late.astype(float)),
    Factor(
        "relapse_month",
        "relapse_month",
        "number",
        lambda cohort: cohort.patients["relapse_month"] / relapse_unit(cohort),
    ),
    _number("age", 10),
    _group("sex", lambda v: v == "M"),
    _most("histology"),
    _most("coo"),
    _group("stage", lambda v: v >= 3),
    _group("ipi", lambda v: v >= 3),
    _group("ecog", lambda v: v >= POOR_ECOG),
    _group("ldh_elevated", lambda v: v == 1),
    _group("extranodal_sites", lambda v: v >= 2),
    _group("bulky", lambda v: v == 1),
    _number("prior_lines"),
    _group("refractory", lambda v: v == 1),
    _most("cart_target"),
    _most("cart_product"),
    Factor("cart_best_response", "cart_best_response", "group", _complete),
)
_BY_KEY: Final = {factor.key: factor for factor in FACTORS}


@dataclass(frozen=True)
class Fit:
    """A fitted model with what its reader needs: covariates, patients used, deaths among them.

    ``left_out`` counts patients without a value of every covariate. ``model`` is ``None`` where
    nothing can be estimated; ``reason`` then says why.
    """

    keys: tuple[str, ...]
    labels: tuple[str, ...]
    model: "cox.CoxFit | None"
    n: int
    events: int
    left_out: int
    reason: str = ""


def fit(
    cohort: Cohort,
    keys: Sequence[str],
    times: Times,
    *,
    entry: NDArray[np.float64] | None = None,
    keep: NDArray[np.bool_] | None = None,
    firth: bool = False,
) -> Fit:
    """Cox model of survival on some factors.

    Parameters
    ----------
    cohort
        Whose patients are modelled.
    keys
        Of :data:`FACTORS`, one for each covariate.
    times
        Months and deaths, one per patient, in the cohort's order.
    entry
        Months of delayed entry, shape (patients,); all from 0 where it is not given.
    keep
        The patients to use, shape (patients,); all where it is not given.
    firth
        Whether to use Firth's likelihood in any case.

    Returns
    -------
    The fit. Patients with a missing covariate are left out and counted. A covariate without
    contrast, or fewer deaths or patients in a group than :mod:`salvage.analysis.least` names, give
    no model but the reason.

    Raises
    ------
    KeyError
        For a key that is not one of :data:`FACTORS`.

    Method: Efron's ties, Wald intervals and tests, as R ``coxph``; where that does not converge,
    Firth's penalised likelihood (Heinze and Schemper 2001).
    """
    x, used = _design(cohort, keys, keep)
    asked = len(used) if keep is None else int(keep.sum())
    labels = [_BY_KEY[key].label(cohort) for key in keys]
    inside = None if entry is None else entry[used]
    fitted = _model(keys, labels, x, times.time[used], times.event[used], inside, firth)
    return replace(fitted, left_out=asked - len(x)) if asked else replace(fitted, reason=NOBODY)


def fit_late(times: Times, late: NDArray[np.bool_]) -> Fit:
    """Cox model of late relapse against early.

    Parameters
    ----------
    times
        Months and deaths.
    late
        One flag for each of ``times``.

    Returns
    -------
    As :func:`fit`, by the same method.
    """
    return fit_group("late", late, times.time, times.event)


def fit_group(
    key: str,
    member: NDArray[np.bool_],
    time: NDArray[np.float64],
    event: NDArray[np.bool_],
    entry: NDArray[np.float64] | None = None,
) -> Fit:
    """Cox model of one yes/no covariate.

    Parameters
    ----------
    key
        Of the covariate, in :data:`words.FACTORS`.
    member, time, event, entry
        One place for each row: the covariate, and months at risk from ``entry`` (0 without it) to
        ``time``, which an event may end. A patient whose covariate changes has a row for each
        value.

    Returns
    -------
    As :func:`fit`, by the same method; ``n`` counts rows.
    """
    return _model([key], [words.FACTORS[key]], member[:, None], time, event, entry)


def _model(
    keys: Sequence[str],
    labels: Sequence[str],
    x: NDArray[Any],
    time: NDArray[np.float64],
    event: NDArray[np.bool_],
    entry: NDArray[np.float64] | None = None,
    firth: bool = False,
) -> Fit:
    """The model of covariates ``x``, shape (n, k), or the reason why there is none."""
    unfitted = Fit(tuple(keys), tuple(labels), None, len(x), int(event.sum()), 0)
    reason = _why_not(x, time, event)
    if reason:
        return replace(unfitted, reason=reason)
    if firth:
        model = cox.firth_cox(x, time, event, names=keys)
    else:
        model = cox.cox_or_firth(x, time, event, entry=entry, names=keys)
    if None in model.hr:
        return replace(unfitted, reason=model.reason or "the model does not converge")
    return replace(unfitted, model=model)


def _design(
    cohort: Cohort, keys: Sequence[str], keep: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Covariates of the patients who have all of them, and which patients these are."""
    columns = [_BY_KEY[key].values(cohort).to_numpy(dtype=float) for key in keys]
    x: NDArray[np.float64] = np.column_stack(columns)
    used = np.asarray(np.isfinite(x).all(axis=1), dtype=bool)
    if keep is not None:
        used = used & keep
    return x[used], used


def _why_not(x: NDArray[np.float64], time: NDArray[np.float64], event: NDArray[np.bool_]) -> str:
    """Why no model of these patients can be estimated; empty if one may be."""
    if not len(x):
        return "not recorded" if x.shape[1] == 1 else "no patient has every covariate recorded"
    if (x == x[0]).all(axis=0).any():
        return "all patients have the same value"
    groups = [np.unique(column, return_counts=True)[1] for column in x.T]
    smallest = min((int(sizes.min()) for sizes in groups if len(sizes) == 2), default=least.GROUP)
    few = least.below(int(event.sum()), least.EVENTS * x.shape[1], "death") or least.below(
        smallest, least.GROUP, "patient", "in one group"
    )
    if few:
        return few
    if event[time >= time[event].min()].all() and np.ptp(time[event]) < TIME_TOLERANCE:
        # A model would print a ratio of 1 with a narrow interval, from no information at all.
        return "all patients at risk died at the same time"
    if x.shape[1] == 1:
        return ""
    centred = x - x.mean(axis=0)
    if np.linalg.matrix_rank(centred.T @ centred, hermitian=True) < x.shape[1]:
        return "the covariates determine one another"
    return ""


def hazard_ratio(
    study: Study, id: str, fitted: Fit, key: str, label: str, mark: Mark | None = None
) -> Estimate:
    """The ratio of one covariate of a fit as an estimate.

    Parameters
    ----------
    study, id, label, mark
        Of the estimate.
    fitted
        Of :func:`fit`.
    key
        The covariate.

    Returns
    -------
    The hazard ratio with its interval and P; without a value, and with the reason, where there is
    no model.

    Raises
    ------
    ValueError
        Where the model has no such covariate.
    """
    model = fitted.model
    value = low = high = p = None
    if model is not None:
        at = fitted.keys.index(key)
        value, low, high, p = model.hr[at], model.low[at], model.high[at], model.p[at]
    return estimate(
        study,
        id,
        label,
        value,
        (low, high),
        n=fitted.n,
        events=fitted.events,
        unit="ratio",
        method=model.method if model is not None else f"not estimable: {fitted.reason}",
        p=p,
        mark=mark,
    )


#: The contrast of late and early relapse by time origin: its id, and where its clock starts.
LATE: Final = {
    "os": ("cox.late_vs_early.hr", "OS from infusion"),
    "os.from_relapse": ("cox.late_vs_early.from_relapse.hr", "OS from relapse"),
}


@once
def late_fits(cohort: Cohort) -> dict[str, Fit]:
    """Models of late against early relapse by origin of :data:`LATE`.

    From infusion it is the model of the published contrast; from relapse the same model without
    the guarantee time.
    """
    origins = survival.origins(cohort)
    return {origin: fit(cohort, ["late"], origins[origin]) for origin in LATE}


def late_contrast(study: Study, origin: str, fitted: Fit) -> Estimate:
    """The hazard ratio of late against early relapse.

    Parameters
    ----------
    study
        Whose marks of provenance the estimate takes.
    origin
        Of :data:`LATE`: where the clock starts.
    fitted
        A model with the covariate ``late``.

    Returns
    -------
    A ratio, below 1 where late relapse goes with longer survival.
    """
    id, clock = LATE[origin]
    return hazard_ratio(study, id, fitted, "late", f"{words.FACTORS['late']}, {clock}")


def late_against_early(cohort: Cohort, origin: str) -> Estimate:
    """The hazard ratio of late against early relapse in a cohort.

    Parameters
    ----------
    cohort
        Whose patients are modelled.
    origin
        Of :data:`LATE`; ``os`` is the published contrast.

    Returns
    -------
    As :func:`late_contrast`.
    """
    return late_contrast(cohort.study, origin, late_fits(cohort)[origin])


@once
def month_from_infusion(cohort: Cohort) -> Estimate:
    """Hazard ratio of the months to relapse, OS from infusion; not part of the results.

    From relapse it is one of the factors alone.
    """
    fitted = fit(cohort, ["relapse_month"], survival.from_infusion(cohort))
    (label,) = fitted.labels
    return hazard_ratio(cohort.study, "cox.relapse_month.hr", fitted, "relapse_month", label)


def contrast_tests(cohort: Cohort) -> list[Estimate]:
    """P-values of late against early relapse by each of :data:`words.TESTS`, from both origins.

    Ids are ``cox.late_vs_early.lr.p`` from infusion and ``cox.late_vs_early.from_relapse.lr.p``.
    The score test of a Cox model of two groups is the log-rank test, but for its variance where
    deaths are tied.
    """
    tests = []
    for origin, fitted in late_fits(cohort).items():
        times = survival.origins(cohort)[origin]
        for key, test in _tests_of(fitted, times, cohort.late).items():
            p = None if test is None else test.p
            tests.append(
                estimate(
                    cohort.study,
                    f"cox.late_vs_early{origin.removeprefix('os')}.{key}.p",
                    f"{words.FACTORS['late']}, {times.label}: P of the {words.TESTS[key]} test",
                    p,
                    n=fitted.n,
                    events=fitted.events,
                    unit="probability",
                    method=f"{words.TESTS[key]} test"
                    if p is not None
                    else f"not estimable: {fitted.reason or NO_MAXIMUM}",
                    p=p,
                )
            )
    return tests


def _tests_of(
    fitted: Fit, times: Times, group: "pd.Series[bool]"
) -> dict[str, km.ChiSquare | None]:
    if fitted.model is None:
        return dict.fromkeys(words.TESTS)
    return {
        "wald": fitted.model.wald,
        "lr": fitted.model.lr,
        "score": fitted.model.score,
        "logrank": km.logrank(times.time, times.event, group),
    }


@once
def univariable(cohort: Cohort) -> list[Fit]:
    """Each of :data:`FACTORS` alone, OS from relapse; without a model where it is not recorded."""
    times = survival.from_relapse(cohort)
    return [fit(cohort, [factor.key], times) for factor in FACTORS]


@once
def prespecified(cohort: Cohort) -> Fit:
    """The one multivariable model: months to relapse and ECOG 2 or more, OS from relapse, Firth.

    Its covariates are the same for every cohort.
    """
    return fit(cohort, PRESPECIFIED, survival.from_relapse(cohort), firth=True)


@dataclass(frozen=True)
class Proportionality:
    """Tests of proportional hazards of a Cox model, or why there are none."""

    labels: tuple[str, ...]
    tests: "cox.Zph | None"
    n: int
    events: int
    reason: str = ""


@once
def proportionality(cohort: Cohort) -> Proportionality:
    """Tests of proportional hazards of the two prespecified covariates, in a Cox model from
    relapse.

    Method: Grambsch and Therneau, as R ``cox.zph(transform = "km")``.
    """
    x, used = _design(cohort, PRESPECIFIED)
    times = survival.from_relapse(cohort)
    time, event = times.time[used], times.event[used]
    labels = tuple(_BY_KEY[key].label(cohort) for key in PRESPECIFIED)
    reason, tests = _why_not(x, time, event), None
    if not reason:
        tests = cox.zph(x, time, event, names=PRESPECIFIED)
        if tests is None:
            reason = (
                "the ordinary Cox model has no finite estimates, or all deaths fall in one month"
            )
    return Proportionality(labels, tests, len(x), int(event.sum()), reason)


def cut_offs(study: Study) -> tuple[float, ...]:
    """The cut-offs in use between early and late relapse.

    Parameters
    ----------
    study
        Whose own cut-off is one of them.

    Returns
    -------
    Months, rising.

    >>> cut_offs(Study(early_relapse_months=5.0))
    (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    """
    return tuple(sorted({*CUT_OFFS, study.early_relapse_months}))


def sweep_id(cut_off: float, origin: str) -> str:
    """The id of the contrast at a cut-off.

    Parameters
    ----------
    cut_off
        In months.
    origin
        Of :data:`LATE`.

    Returns
    -------
    The id of its hazard ratio.

    >>> sweep_id(2.0, "os.from_relapse")
    'cox.sweep.2.from_relapse.hr'
    """
    return f"cox.sweep.{cut_off:g}{origin.removeprefix('os')}.hr"


def sweep_estimates(cohort: Cohort) -> list[Estimate]:
    """Late against early relapse at each of :func:`cut_offs`, from both origins.

    Ids are ``cox.sweep.2.hr`` from infusion and ``cox.sweep.2.from_relapse.hr``.
    """
    relapse = cohort.patients["relapse_month"].to_numpy()
    return [
        hazard_ratio(
            cohort.study,
            sweep_id(cut, origin),
            fit_late(times, relapse > cut),
            "late",
            f"Relapse after against up to month {cut:g}, {times.label}",
        )
        for origin, times in survival.origins(cohort).items()
        if origin in LATE
        for cut in cut_offs(cohort.study)
    ]


def sweep(cohort: Cohort, origin: str) -> dict[float, Estimate]:
    """Late against early relapse by cut-off.

    Parameters
    ----------
    cohort
        Whose patients are modelled.
    origin
        Of :data:`LATE`.

    Returns
    -------
    The hazard ratio by each of :func:`cut_offs` in months.
    """
    cuts = cut_offs(cohort.study)
    return {cut: estimates(cohort)[sweep_id(cut, origin)] for cut in cuts}


def univariable_estimates(cohort: Cohort) -> list[Estimate]:
    """The ratio of each factor alone, OS from relapse; ids ``cox.univariable.age.hr`` and so on."""
    return [
        hazard_ratio(
            cohort.study,
            f"cox.univariable.{factor.key}.hr",
            fitted,
            factor.key,
            f"{fitted.labels[0]}, alone, OS from relapse",
        )
        for factor, fitted in zip(FACTORS, univariable(cohort), strict=True)
    ]


def prespecified_estimates(cohort: Cohort) -> list[Estimate]:
    """The ratios of the prespecified model; ids ``cox.prespecified.ecog.hr`` and so on."""
    fitted = prespecified(cohort)
    return [
        hazard_ratio(
            cohort.study,
            f"cox.prespecified.{key}.hr",
            fitted,
            key,
            f"{label}, model of two covariates, OS from relapse",
        )
        for key, label in zip(fitted.keys, fitted.labels, strict=True)
    ]


@once
def estimates(cohort: Cohort) -> dict[str, Estimate]:
    """The contrast of late and early relapse with its tests, each factor alone, the model, the
    sweep; by id."""
    return by_id(
        [
            *(late_against_early(cohort, origin) for origin in LATE),
            *contrast_tests(cohort),
            *univariable_estimates(cohort),
            *prespecified_estimates(cohort),
            *sweep_estimates(cohort),
        ]
    )
