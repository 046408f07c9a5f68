"""Prognostic factors for overall survival: Cox models sized to a small cohort."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salvage import words
from salvage.analysis.estimate import Estimate, estimate
from salvage.analysis.provenance import Mark
from salvage.analysis.survival import Times, from_infusion, from_relapse
from salvage.cohort import Cohort, once
from salvage.cohort.study import Study
from salvage.stats import cox
from salvage.stats import survival as km
from salvage.stats.r_rules import TIME_TOLERANCE

EVENTS_PER_VARIABLE: Final = 10
CUT_OFFS: Final = (1.0, 2.0, 3.0, 4.0, 6.0)
POOR_ECOG: Final = 2
NOBODY: Final = "nobody is at risk"
NO_MAXIMUM: Final = "the likelihood has no maximum"
PRESPECIFIED: Final = ("relapse_month", "ecog")

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
        if self.kind != "most":
            return label
        most = most_frequent(cohort, self.column)
        return label if most is None else f"{label}: {most} against others"


def most_frequent(cohort: Cohort, column: str) -> str | None:
    """The most frequent text of a column of patients, the first of the alphabet if several tie."""
    sizes = cohort.patients[column].value_counts()
    return str(min(sizes.index[sizes == sizes.max()])) if len(sizes) else None


def _number(key: str, per: float = 1.0) -> Factor:
    return Factor(key, key, "number", lambda cohort: cohort.patients[key] / per)


def _group(key: str, test: Callable[["pd.Series[float]"], "pd.Series[bool]"]) -> Factor:
    def values(cohort: Cohort) -> "pd.Series[float]":
        given = cohort.patients[key]
        return test(given).astype(float).where(given.notna())

    return Factor(key, key, "group", values)


def _most(key: str) -> Factor:
    def values(cohort: Cohort) -> "pd.Series[float]":
        given = cohort.patients[key]
        return (given == most_frequent(cohort, key)).astype(float).where(given.notna())

    return Factor(key, key, "most", values)


FACTORS: Final = (
    Factor("late", "relapse_month", "group", lambda cohort: cohort.late.astype(float)),
    _number("relapse_month"),
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
    _group("cart_best_response", lambda v: v == "CR"),
)
_BY_KEY: Final = {factor.key: factor for factor in FACTORS}


@dataclass(frozen=True)
class Fit:
    """A fitted model with what its reader needs: covariates, patients used and left out, a caution.

    ``model`` is ``None`` where nothing can be estimated; ``reason`` then says why.
    """

    keys: tuple[str, ...]
    labels: tuple[str, ...]
    model: "cox.CoxFit | None"
    n: int
    events: int
    left_out: int
    reason: str = ""

    @property
    def events_per_variable(self) -> float:
        """Events for each covariate of the model."""
        return self.events / len(self.keys)

    @property
    def sparse(self) -> bool:
        """Whether there are fewer events per variable than the customary ten."""
        return self.events_per_variable < EVENTS_PER_VARIABLE


def caution(deaths: int, covariates: int = 1, *, least: bool = False) -> str:
    """For the caption of a model with few deaths for each covariate, else nothing.

    ``least`` says that ``deaths`` are those of the smallest of several models.
    """
    if deaths >= EVENTS_PER_VARIABLE * covariates:
        return ""
    return (
        f" Caution: {'as few as ' if least else ''}{words.count(deaths, 'death')} for"
        f" {words.count(covariates, 'covariate')}, fewer than {EVENTS_PER_VARIABLE} for each; the"
        " estimates are unstable."
    )


def fit(
    cohort: Cohort,
    keys: Sequence[str],
    times: Times,
    *,
    entry: NDArray[np.float64] | None = None,
    keep: NDArray[np.bool_] | None = None,
    firth: bool = False,
) -> Fit:
    """Cox model of ``times`` (one per patient, in the cohort's order) on the factors ``keys``.

    Patients with a missing covariate are left out and counted. A covariate without contrast, or a
    model without events, gives no fit and the reason. ``firth`` asks for Firth's penalised
    likelihood; it also replaces a Cox model that does not converge. ``entry`` are months of delayed
    entry, ``keep`` the patients to use. Raises ``KeyError`` for an unknown factor.
    """
    x, kept = _design(cohort, keys, keep)
    wanted = len(kept) if keep is None else int(keep.sum())
    labels = [_BY_KEY[key].label(cohort) for key in keys]
    inside = None if entry is None else entry[kept]
    fitted = _model(keys, labels, x, times.time[kept], times.event[kept], inside, firth)
    return replace(fitted, left_out=wanted - len(x)) if wanted else replace(fitted, reason=NOBODY)


def fit_group(times: Times, group: NDArray[np.bool_], key: str = "late") -> Fit:
    """Cox model of a group, shape (n,), against the rest; without a fit where it has no maximum."""
    return _model([key], [words.FACTORS[key]], group[:, None], times.time, times.event)


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
    kept = np.asarray(np.isfinite(x).all(axis=1), dtype=bool)
    if keep is not None:
        kept = kept & keep
    return x[kept], kept


def _why_not(x: NDArray[np.float64], time: NDArray[np.float64], event: NDArray[np.bool_]) -> str:
    """Why no model of these patients can be estimated; empty if one may be."""
    if not len(x):
        return "not recorded" if x.shape[1] == 1 else "no patient has every covariate recorded"
    if not event.any():
        return "no deaths"
    if len(x) == 1:
        return "one patient alone allows no comparison"
    if event[time >= time[event].min()].all() and np.ptp(time[event]) < TIME_TOLERANCE:
        # A model would print a ratio of 1 with a narrow interval, from no information at all.
        return "all patients at risk died at the same time"
    if (x == x[0]).all(axis=0).any():
        return "all patients have the same value"
    if x.shape[1] == 1:
        return ""
    centred = x - x.mean(axis=0)
    if np.linalg.matrix_rank(centred.T @ centred, hermitian=True) < x.shape[1]:
        return "the covariates determine one another"
    return ""


def hazard_ratio(
    study: Study, id: str, fitted: Fit, key: str, label: str, mark: Mark | None = None
) -> Estimate:
    """The ratio of one covariate of a fit as an estimate, with its P-value."""
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


@once
def late_from_infusion(cohort: Cohort) -> Fit:
    """The model of the published contrast: late against early relapse, OS from infusion."""
    return fit(cohort, ["late"], from_infusion(cohort))


@once
def late_from_relapse(cohort: Cohort) -> Fit:
    """The same model with survival counted from relapse, which removes the guarantee time."""
    return fit(cohort, ["late"], from_relapse(cohort))


#: The contrast of late and early relapse by time origin: its id, and where its clock starts.
LATE: Final = {
    "os": ("cox.late_vs_early.hr", "OS from infusion"),
    "os.from_relapse": ("cox.late_vs_early.from_relapse.hr", "OS from relapse"),
}


def late_contrast(study: Study, origin: str, fitted: Fit) -> Estimate:
    """The hazard ratio of late against early relapse from an origin of :data:`LATE`."""
    id, clock = LATE[origin]
    return hazard_ratio(study, id, fitted, "late", f"{words.FACTORS['late']}, {clock}")


def late_against_early(cohort: Cohort) -> Estimate:
    """The published contrast: late against early relapse, OS from infusion, univariable Cox."""
    return late_contrast(cohort.study, "os", late_from_infusion(cohort))


def late_against_early_from_relapse(cohort: Cohort) -> Estimate:
    """The same contrast with survival counted from relapse."""
    return late_contrast(cohort.study, "os.from_relapse", late_from_relapse(cohort))


def contrast_tests(cohort: Cohort) -> list[Estimate]:
    """P-values of late against early relapse by each of :data:`words.TESTS`, from both origins.

    Ids are ``cox.late_vs_early.lr.p`` from infusion and ``cox.late_vs_early.from_relapse.lr.p``.
    The score test of a Cox model of two groups is the log-rank test, but for its variance where
    deaths are tied.
    """
    made = []
    for suffix, fitted, times in (
        ("", late_from_infusion(cohort), from_infusion(cohort)),
        (".from_relapse", late_from_relapse(cohort), from_relapse(cohort)),
    ):
        for key, test in _tests_of(fitted, times, cohort.late).items():
            p = None if test is None else test.p
            made.append(
                estimate(
                    cohort.study,
                    f"cox.late_vs_early{suffix}.{key}.p",
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
    return made


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


def univariable(cohort: Cohort, times: Times) -> list[Fit]:
    """A model for each factor alone; one that no patient has recorded is kept without a fit."""
    return [fit(cohort, [factor.key], times) for factor in FACTORS]


@once
def prespecified(cohort: Cohort) -> Fit:
    """The one multivariable model: months to relapse and ECOG 2 or more, OS from relapse, Firth."""
    return fit(cohort, PRESPECIFIED, from_relapse(cohort), firth=True)


@dataclass(frozen=True)
class Proportionality:
    """Tests of proportional hazards of a Cox model, or why there are none."""

    keys: tuple[str, ...]
    labels: tuple[str, ...]
    tests: "cox.Zph | None"
    n: int
    events: int
    reason: str = ""


def proportionality(cohort: Cohort) -> Proportionality:
    """R's ``cox.zph`` of the two prespecified covariates in an ordinary Cox model from relapse."""
    x, kept = _design(cohort, PRESPECIFIED)
    times = from_relapse(cohort)
    time, event = times.time[kept], times.event[kept]
    labels = tuple(_BY_KEY[key].label(cohort) for key in PRESPECIFIED)
    base = (PRESPECIFIED, labels)
    n, events = len(x), int(event.sum())
    reason = _why_not(x, time, event)
    if reason:
        return Proportionality(*base, None, n, events, reason)
    tests = cox.zph(x, time, event, names=PRESPECIFIED)
    if tests is None:
        reason = "the ordinary Cox model has no finite estimates, or all deaths fall in one month"
    return Proportionality(*base, tests, n, events, reason)


def cut_offs(study: Study) -> tuple[float, ...]:
    """The cut-offs in use between early and late relapse, in months, with the study's own."""
    return tuple(sorted({*CUT_OFFS, study.early_relapse_months}))


def sweep(cohort: Cohort, times: Times) -> pd.DataFrame:
    """Late against early at each cut-off: columns cut_off, early, late, hr, low, high, p, method.

    NaN where there is no estimate, or an open side of an interval; ``method`` then says why.
    """
    relapse = cohort.patients["relapse_month"].to_numpy()
    rows = []
    for cut_off in cut_offs(cohort.study):
        late = relapse > cut_off
        sizes = {"early": int((~late).sum()), "late": int(late.sum())}
        rows.append({"cut_off": cut_off, **sizes, **_contrast(times, late)})
    numbers = dict.fromkeys(("hr", "low", "high", "p"), float)
    columns = ["cut_off", "early", "late", *numbers, "method"]
    return pd.DataFrame(rows, columns=columns).astype(numbers)


def _contrast(times: Times, group: NDArray[np.bool_]) -> dict[str, float | str | None]:
    """Hazard ratio of a group against the rest, with limits, P-value and method."""
    fitted = fit_group(times, group)
    model = fitted.model
    if model is None:
        return {"method": f"not estimable: {fitted.reason}"}
    numbers = {part: getattr(model, part)[0] for part in ("hr", "low", "high", "p")}
    return {**numbers, "method": model.method}


def _known(value: float) -> float | None:
    """A cell of a results frame, or ``None`` where it is NaN."""
    return None if np.isnan(value) else float(value)


def sweep_estimates(cohort: Cohort) -> list[Estimate]:
    """The sweep of cut-offs from both origins.

    Ids are ``cox.sweep.2.hr`` from infusion and ``cox.sweep.2.from_relapse.hr``.
    """
    origins = {"": from_infusion(cohort), ".from_relapse": from_relapse(cohort)}
    return [
        estimate(
            cohort.study,
            f"cox.sweep.{row['cut_off']:g}{suffix}.hr",
            f"Relapse after against up to month {row['cut_off']:g}, {times.label}",
            _known(row["hr"]),
            (_known(row["low"]), _known(row["high"])),
            n=times.n,
            events=times.events,
            unit="ratio",
            method=row["method"],
            p=_known(row["p"]),
        )
        for suffix, times in origins.items()
        for row in sweep(cohort, times).to_dict("records")
    ]


def univariable_estimates(cohort: Cohort) -> list[Estimate]:
    """The ratio of each factor alone, OS from relapse; ids ``cox.univariable.age.hr`` and so on."""
    return estimates_of(cohort.study, univariable(cohort, from_relapse(cohort)))


def estimates_of(study: Study, fits: Sequence[Fit]) -> list[Estimate]:
    """The estimate of each fit of one factor."""
    return [
        hazard_ratio(
            study,
            f"cox.univariable.{fitted.keys[0]}.hr",
            fitted,
            fitted.keys[0],
            f"{fitted.labels[0]}, alone, OS from relapse",
        )
        for fitted in fits
    ]


def prespecified_estimates(study: Study, fitted: Fit) -> list[Estimate]:
    """The ratios of the prespecified model."""
    return [
        hazard_ratio(
            study,
            f"cox.prespecified.{key}.hr",
            fitted,
            key,
            f"{label}, model of two covariates, OS from relapse",
        )
        for key, label in zip(fitted.keys, fitted.labels, strict=True)
    ]


def prognosis_estimates(cohort: Cohort) -> list[Estimate]:
    """The published contrast, the same from relapse, each factor alone, the model, the sweep."""
    return [
        late_against_early(cohort),
        late_against_early_from_relapse(cohort),
        *contrast_tests(cohort),
        *univariable_estimates(cohort),
        *prespecified_estimates(cohort.study, prespecified(cohort)),
        *sweep_estimates(cohort),
    ]
