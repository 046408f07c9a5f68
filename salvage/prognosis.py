"""Prognostic factors for overall survival: Cox models sized to a small cohort."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salvage.cohort import Cohort
from salvage.estimate import Estimate, Unit, estimate
from salvage.published import Mark
from salvage.stats import cox
from salvage.survival import Times, from_infusion, from_relapse

EVENTS_PER_VARIABLE: Final = 10
CUT_OFFS: Final = (1.0, 2.0, 3.0, 4.0, 6.0)
POOR_ECOG: Final = 2


@dataclass(frozen=True)
class Factor:
    """A covariate: its column, what a ratio compares, and how it is made from the patients table."""

    key: str
    label: str
    columns: tuple[str, ...]

    def values(self, cohort: Cohort) -> pd.Series:
        """One number per patient, NaN where not recorded."""
        return _VALUES[self.key](cohort)


def _at_least(column: str, limit: float):  # type: ignore[no-untyped-def]
    def values(cohort: Cohort) -> pd.Series:
        given = cohort.patients[column]
        return (given >= limit).astype(float).where(given.notna())

    return values


def _plain(column: str, per: float = 1.0):  # type: ignore[no-untyped-def]
    return lambda cohort: cohort.patients[column] / per


def _is(column: str, *codes: str):  # type: ignore[no-untyped-def]
    def values(cohort: Cohort) -> pd.Series:
        given = cohort.patients[column]
        return given.isin(codes).astype(float).where(given.notna())

    return values


FACTORS: Final = (
    Factor("late", "Late against early relapse", ("relapse_month",)),
    Factor("relapse_month", "Months to relapse, per month", ("relapse_month",)),
    Factor("age", "Age, per 10 years", ("age",)),
    Factor("sex", "Male against female", ("sex",)),
    Factor("stage", "Stage III-IV against I-II", ("stage",)),
    Factor("ipi", "IPI 3-5 against 0-2", ("ipi",)),
    Factor("ecog", "ECOG 2 or more against 0-1", ("ecog",)),
    Factor("ldh_elevated", "LDH elevated against normal", ("ldh_elevated",)),
    Factor("extranodal_sites", "Two or more extranodal sites against fewer", ("extranodal_sites",)),
    Factor("bulky", "Bulky disease against none", ("bulky",)),
    Factor("prior_lines", "Lines before CAR-T, per line", ("prior_lines",)),
    Factor("refractory", "Refractory before CAR-T against not", ("refractory",)),
    Factor("cart_best_response", "CR to the first CAR-T against less", ("cart_best_response",)),
)
_VALUES: Final = {
    "late": lambda cohort: cohort.late.astype(float),
    "relapse_month": _plain("relapse_month"),
    "age": _plain("age", 10),
    "sex": _is("sex", "M"),
    "stage": _at_least("stage", 3),
    "ipi": _at_least("ipi", 3),
    "ecog": _at_least("ecog", POOR_ECOG),
    "ldh_elevated": _plain("ldh_elevated"),
    "extranodal_sites": _at_least("extranodal_sites", 2),
    "bulky": _plain("bulky"),
    "prior_lines": _plain("prior_lines"),
    "refractory": _plain("refractory"),
    "cart_best_response": _is("cart_best_response", "CR"),
}
PRESPECIFIED: Final = ("relapse_month", "ecog")


def factor(key: str) -> Factor:
    """The factor with this key; ``StopIteration`` if there is none."""
    return next(f for f in FACTORS if f.key == key)


@dataclass(frozen=True)
class Fit:
    """A fitted model with what its reader needs: covariates, patients used and left out, and a caution."""

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
    model without events, gives no fit and the reason. ``firth`` asks for Firth's penalised likelihood;
    it also replaces a Cox model that does not converge.
    """
    factors = [factor(key) for key in keys]
    design = np.column_stack([f.values(cohort).to_numpy(dtype=float) for f in factors])
    complete = np.isfinite(design).all(axis=1)
    if keep is not None:
        complete &= keep
    x, time, event = design[complete], times.time[complete], times.event[complete]
    labels = tuple(f.label for f in factors)
    left_out = int((~complete).sum() if keep is None else (keep & ~complete).sum())
    base = (tuple(keys), labels)
    n, events = len(x), int(event.sum())
    reason = _why_not(x, events)
    if reason:
        return Fit(*base, None, n, events, left_out, reason)
    names = list(keys)
    if firth:
        model = cox.firth_cox(x, time, event, names=names)
    else:
        model = cox.cox_or_firth(x, time, event, entry=None if entry is None else entry[complete], names=names)
    return Fit(*base, model, n, events, left_out, "" if model is not None else "the model does not converge")


def _why_not(x: NDArray[np.float64], events: int) -> str:
    if not len(x):
        return "not recorded"
    if events == 0:
        return "no deaths"
    if (x == x[0]).all(axis=0).any():
        return "no contrast: all patients have the same value"
    if np.linalg.matrix_rank(x - x.mean(axis=0)) < x.shape[1]:
        return "the covariates determine one another"
    return ""


def hazard_ratio(
    cohort: Cohort, id: str, fitted: Fit, key: str, label: str, mark: Mark | None = None, unit: Unit = "ratio"
) -> Estimate:
    """The ratio of one covariate of a fit as an estimate, with its P-value."""
    model = fitted.model
    value = low = high = p = None
    if model is not None:
        at = fitted.keys.index(key)
        value, low, high, p = model.hr[at], model.low[at], model.high[at], model.p[at]
    return estimate(
        cohort.study,
        id,
        label,
        value,
        (low, high),
        n=fitted.n,
        events=fitted.events,
        unit=unit,
        method=model.method if model is not None else f"not estimable: {fitted.reason}",
        p=p,
        mark=mark,
    )


def late_against_early(cohort: Cohort) -> Estimate:
    """The published contrast: late against early relapse, OS from infusion, univariable Cox model."""
    fitted = fit(cohort, ["late"], from_infusion(cohort))
    return hazard_ratio(cohort, "cox.late_vs_early.hr", fitted, "late", "Late against early relapse, OS from infusion")


def late_against_early_from_relapse(cohort: Cohort) -> Estimate:
    """The same contrast with survival counted from relapse, which removes the guarantee time."""
    fitted = fit(cohort, ["late"], from_relapse(cohort))
    return hazard_ratio(
        cohort, "cox.late_vs_early.from_relapse.hr", fitted, "late", "Late against early relapse, OS from relapse"
    )


def univariable(cohort: Cohort, times: Times) -> list[Fit]:
    """A model for each baseline factor alone. Factors that no patient has recorded are kept, without a fit."""
    return [fit(cohort, [f.key], times) for f in FACTORS]


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment of the P-values that exist (Scand J Statist 1979)."""
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    running = 0.0
    for rank, (p, i) in enumerate(known):
        running = max(running, min(1.0, (len(known) - rank) * p))
        adjusted[i] = running
    return adjusted


def prespecified(cohort: Cohort) -> Fit:
    """The one multivariable model: months to relapse and ECOG 2 or more, OS from relapse, Firth."""
    return fit(cohort, PRESPECIFIED, from_relapse(cohort), firth=True)


def sweep(cohort: Cohort, times: Times, cut_offs: Sequence[float] = CUT_OFFS) -> pd.DataFrame:
    """Late against early at each cut-off: columns cut_off, early, late, hr, low, high, p, method."""
    relapse = cohort.patients["relapse_month"].to_numpy()
    rows = []
    for cut_off in cut_offs:
        late = relapse > cut_off
        fitted = _binary(times, late)
        rows.append(
            {
                "cut_off": cut_off,
                "early": int((~late).sum()),
                "late": int(late.sum()),
                **({"hr": fitted.hr[0], "low": fitted.low[0], "high": fitted.high[0], "p": fitted.p[0]} if fitted else {}),
                "method": fitted.method if fitted else "no contrast",
            }
        )
    return pd.DataFrame(rows, columns=["cut_off", "early", "late", "hr", "low", "high", "p", "method"])


def _binary(times: Times, group: NDArray[np.bool_]) -> "cox.CoxFit | None":
    x = group.astype(float)[:, None]
    if _why_not(x, times.events):
        return None
    return cox.cox_or_firth(x, times.time, times.event, names=["late"])


def prognosis_estimates(cohort: Cohort) -> list[Estimate]:
    """The published contrast, the same from relapse, relapse as a continuous covariate, and the model."""
    continuous = fit(cohort, ["relapse_month"], from_relapse(cohort))
    model = prespecified(cohort)
    return [
        late_against_early(cohort),
        late_against_early_from_relapse(cohort),
        hazard_ratio(
            cohort, "cox.relapse_month.from_relapse.hr", continuous, "relapse_month",
            "Months to relapse, per month, OS from relapse",
        ),
        *(
            hazard_ratio(
                cohort, f"cox.prespecified.{key}.hr", model, key, f"{factor(key).label}, two-covariate model, OS from relapse"
            )
            for key in PRESPECIFIED
        ),
    ]
