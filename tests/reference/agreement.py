"""How near the book's results come to R's, method by method: the page that tells it.

    python -m tests.reference.agreement     writes book/methods_against_r.md

Every number of the page is computed from the frozen answers; a test fails if it is not current.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from lifelines import AalenJohansenFitter, CoxPHFitter, KaplanMeierFitter
from lifelines.exceptions import StatError
from lifelines.statistics import multivariate_logrank_test, proportional_hazard_test
from lifelines.utils import median_survival_times, restricted_mean_survival_time

from salvage.paths import ROOT
from salvage.report.pages import MADE
from salvage.stats import clustered, cox, exact, intervals, survival
from salvage.words import capital
from tests.reference import REFERENCE, answers, cox_rows, lung, recomputed

PAGE = ROOT / "book" / "methods_against_r.md"
#: Two results agree if no part of them differs by more than this share of R's.
AGREE = 1e-6
#: Differences below this are the rounding of double precision, which machines do alike no further.
ROUNDING = 1e-12

Numbers = Sequence[float | None]


@dataclass(frozen=True)
class Case:
    """What the book, R, and the library by itself find in one frozen cohort.

    ``library`` is ``None`` where the library refuses the cohort.
    """

    book: Numbers
    r: Numbers
    library: Numbers | None = None


@dataclass(frozen=True)
class Method:
    """A method, how R and lifelines are asked for it, and the rules of R that the book adds.

    ``rules`` are functions of ``salvage.stats.r_rules`` with what they do. ``lifelines`` is empty
    where lifelines has no such method.
    """

    name: str
    r: str
    lifelines: str
    rules: dict[str, str]
    cases: Callable[[], Iterator[Case]]

    @property
    def difference(self) -> float:
        """The largest difference between the book and R over all cohorts, as a share of R's."""
        return max(difference(case.book, case.r) for case in self.cases())

    @property
    def agreements(self) -> tuple[int, int]:
        """In how many cohorts the library by itself agrees with R, and how many there are."""
        cases = list(self.cases())
        agree = [
            case.library is not None and difference(case.library, case.r) <= AGREE for case in cases
        ]
        return sum(agree), len(cases)


def difference(found: Numbers, r: Numbers) -> float:
    """Largest relative difference; infinite where one has a number and the other has none."""
    worst = 0.0
    for a, b in zip(found, r, strict=True):
        if (a is None) != (b is None):
            return math.inf
        if a is not None and b is not None:
            worst = max(worst, abs(a - b) / abs(b) if b else abs(a))
    return worst


def known(values: Any) -> list[float | None]:
    """Numbers, with None for those that are not finite."""
    return [float(v) if v is not None and math.isfinite(v) else None for v in np.ravel(values)]


# --- curves ---------------------------------------------------------------------------------------


def curves(
    book: Callable[[survival.KM, dict[str, Any]], Any],
    r: Callable[[dict[str, Any]], Any],
    library: Callable[[KaplanMeierFitter, dict[str, Any]], Any],
    *,
    reverse: bool = False,
) -> Iterator[Case]:
    """One case for each cohort of curves.json."""
    for entry in answers("curves").values():
        data, found = entry.get("data"), entry["answers"]
        if data is None:
            data = {"time": lung()["time"].to_numpy(), "event": lung()["event"].to_numpy()}
        if reverse and "reverse_median" not in found:
            continue
        time, event = np.array(data["time"], dtype=float), np.array(data["event"], dtype=bool)
        start = None if data.get("entry") is None else np.array(data["entry"], dtype=float)
        estimate = survival.reverse_kaplan_meier if reverse else survival.kaplan_meier
        kept = slice(None) if start is None else start < time
        asked = found | {"time_": time, "event_": event, "entry_": start}
        try:
            fitter = KaplanMeierFitter().fit(
                time[kept],
                ~event[kept] if reverse else event[kept],
                entry=None if start is None else start[kept],
            )
            by_itself = known(library(fitter, found))
        except StatError:
            by_itself = None
        yield Case(known(book(estimate(time, event, start), asked)), known(r(found)), by_itself)


def limits_at(fitter: KaplanMeierFitter, times: Any) -> Any:
    limits = fitter.confidence_interval_.reindex(times, method="ffill")
    return limits.to_numpy()


def steps() -> Iterator[Case]:
    return curves(
        lambda curve, _: curve.survival,
        lambda r: r["survival"],
        lambda fitter, r: fitter.predict(r["time"]),
    )


def limits() -> Iterator[Case]:
    # R leaves out the limits of a curve of 1 after a censoring, and has them before it.
    return curves(
        lambda curve, _: [curve.low, curve.high],
        lambda r: [
            1.0 if s == 1 else x
            for side in (r["low"], r["high"])
            for s, x in zip(r["survival"], side, strict=True)
        ],
        lambda fitter, r: limits_at(fitter, r["time"]).T,
    )


def lifelines_median(fitter: KaplanMeierFitter) -> list[Any]:
    low, high = np.ravel(median_survival_times(fitter.confidence_interval_))[:2]
    return [fitter.median_survival_time_, low, high]


def medians() -> Iterator[Case]:
    return curves(
        lambda curve, _: list(curve.median),
        lambda r: r["median"],
        lambda fitter, _: lifelines_median(fitter),
    )


def follow_up() -> Iterator[Case]:
    return curves(
        lambda curve, _: list(curve.median),
        lambda r: r["reverse_median"],
        lambda fitter, _: lifelines_median(fitter),
        reverse=True,
    )


def risk_sets() -> Iterator[Case]:
    return curves(
        lambda curve, _: curve.n_risk,
        lambda r: r["n_risk"],
        lambda fitter, r: fitter.event_table["at_risk"].reindex(r["time"]),
    )


def lifelines_mean(fitter: KaplanMeierFitter, tau: float) -> list[Any]:
    mean, variance = restricted_mean_survival_time(fitter, t=tau, return_variance=True)
    return [mean, math.sqrt(variance)]


def means() -> Iterator[Case]:
    return curves(
        lambda _, r: survival.rmst(r["time_"], r["event_"], r["tau"], r["entry_"])[:2],
        lambda r: [r["rmst"], r["rmst_se"]],
        lambda fitter, r: lifelines_mean(fitter, r["tau"]),
    )


def logranks() -> Iterator[Case]:
    for entry in answers("logrank").values():
        data = entry.get("data") or {
            "time": lung()["time"],
            "event": lung()["event"],
            "group": lung()["sex"],
        }
        rows = data["time"], data["event"], data["group"]
        other = multivariate_logrank_test(rows[0], rows[2], rows[1])
        yield Case(
            known(survival.logrank(*rows)),
            [entry["answers"][key] for key in ("chi2", "df", "p")],
            [other.test_statistic, len(set(rows[2])) - 1, other.p_value],
        )


def incidences() -> Iterator[Case]:
    for entry in answers("incidence").values():
        data, asked = entry.get("data"), entry["answers"]
        data = data or pd.read_csv(REFERENCE / "pbc.csv").head(312)
        time, status = np.array(data["time"], dtype=float), np.array(data["status"])
        found = survival.cumulative_incidence(time, status, asked["cause"])
        other = AalenJohansenFitter(seed=1, calculate_variance=False)
        other.fit(time, status, event_of_interest=asked["cause"])
        yield Case(
            known([found.at(t).value for t in asked["ticks"]]),
            asked["estimate"],
            known([other.predict(t) for t in asked["ticks"]]),
        )


# --- Cox models -----------------------------------------------------------------------------------


def models(
    book: Callable[[dict[str, Any]], Any],
    r: Callable[[dict[str, Any]], Any],
    library: Callable[[CoxPHFitter, pd.DataFrame], Any] | None = None,
) -> Iterator[Case]:
    """One case for each model of cox.json; lifelines with the search that it has by default."""
    for name, entry in answers("cox").items():
        rows = cox_rows(name)
        late = {"entry_col": "entry"} if "entry" in rows else {}
        frame = rows["X"].assign(**{key: rows[key] for key in rows if key != "X"})
        if late:
            frame = frame[frame["entry"] < frame["time"]]
        fitter = CoxPHFitter().fit(frame, "time", "event", **late)
        by_itself = None if library is None else known(library(fitter, frame))
        yield Case(known(book(rows)), known(r(entry["answers"])), by_itself)


def ratios() -> Iterator[Case]:
    def book(rows: dict[str, Any]) -> Any:
        found = cox.cox(**rows)
        return [found.coef, found.se, found.low, found.high, found.p]

    return models(
        book,
        lambda r: [r["coef"], r["se"], r["low"], r["high"], r["p"]],
        lambda fitter, _: (
            fitter.summary[
                ["coef", "se(coef)", "exp(coef) lower 95%", "exp(coef) upper 95%", "p"]
            ].T
        ),
    )


def likelihood_ratios() -> Iterator[Case]:
    return models(
        lambda rows: cox.cox(**rows).lr.chi2,
        lambda r: r["lr"],
        lambda fitter, _: fitter.log_likelihood_ratio_test().test_statistic,
    )


def scores() -> Iterator[Case]:
    return models(lambda rows: cox.cox(**rows).score.chi2, lambda r: r["score"])


def proportionality() -> Iterator[Case]:
    def book(rows: dict[str, Any]) -> Any:
        return [term.chi2 for term in cox.zph(**rows).terms]

    def library(fitter: CoxPHFitter, frame: pd.DataFrame) -> Any:
        if "entry" in frame:
            return [None] * len(fitter.params_)
        return proportional_hazard_test(fitter, frame, time_transform="km").test_statistic

    # The last row of R's table tests all covariates together.
    return models(book, lambda r: r["zph_chi2"][: len(r["coef"])], library)


# --- proportions ----------------------------------------------------------------------------------


def binomial(key: str, book: Callable[[int, int], Any]) -> Callable[[], Iterator[Case]]:
    def cases() -> Iterator[Case]:
        for row in answers("intervals"):
            yield Case(known(book(row["events"], row["n"])), row[key])

    return cases


def categories() -> Iterator[tuple[Any, dict[str, Any]]]:
    for entry in answers("categories").values():
        yield {k: np.array(v) for k, v in entry["data"].items()}, entry["answers"]


def effective_numbers() -> Iterator[Case]:
    for data, found in categories():
        everyone = len(set(data["patient"]))
        for row in found["effective"]:
            mine = data["category"] == row["category"]
            n = clustered.effective_n(data["y"][mine], data["patient"][mine], everyone)
            yield Case([n], [row["n_eff"]])


def rao_scotts() -> Iterator[Case]:
    for data, found in categories():
        ours = clustered.rao_scott(data["y"], data["category"], data["patient"])
        fields = ("f", "df1", "df2", "p")
        yield Case([getattr(ours, f) for f in fields], [found["rao_scott"][f] for f in fields])


def exact_tests() -> Iterator[Case]:
    for row in answers("exact"):
        yield Case([exact.exact_kx2(row["events"], row["n"]).p], [row["p"]])


def fisher_tests() -> Iterator[Case]:
    for row in answers("fisher"):
        found = exact.fisher_2x2(*row["table"])
        fields = ("p", "odds_ratio", "low", "high")
        yield Case([getattr(found, f) for f in fields], [row[f] for f in fields])


TIES = "ties by rounding, as for the curve"
METHODS = (
    Method(
        "Kaplan-Meier curve",
        "`survfit(Surv(entry, time, event) ~ 1)`",
        "`KaplanMeierFitter().fit`",
        {
            "equal_times": "times that differ by rounding are one time",
            "product_limit": "where nobody is at risk for a while, the curve is carried on",
        },
        steps,
    ),
    Method(
        "Limits of the curve",
        '`survfit(conf.type = "log-log")`',
        "`confidence_interval_`",
        {"limits": "none where the curve is 0"},
        limits,
    ),
    Method(
        "Median and its limits",
        "`survival:::survmean`",
        "`median_survival_time_`",
        {"first_below": "where the curve is flat at one half, the middle of the flat part"},
        medians,
    ),
    Method(
        "Median follow-up",
        "`survfit(Surv(time, 1 - event) ~ 1)`",
        "`KaplanMeierFitter().fit`, events exchanged",
        {"first_below": "as for the median"},
        follow_up,
    ),
    Method(
        "Numbers at risk",
        "`summary(survfit(...))$n.risk`",
        "`event_table`",
        {"at_risk": "who enters at a time is not at risk there yet"},
        risk_sets,
    ),
    Method(
        "Restricted mean and its standard error",
        "`survival:::survmean(rmean = tau)`",
        "`restricted_mean_survival_time`",
        {"restricted_mean": "the error is that of the estimate, by Greenwood"},
        means,
    ),
    Method(
        "Log-rank test",
        "`survdiff`",
        "`multivariate_logrank_test`",
        {"equal_times": f"{TIES}; a group that left before the first event has no part in it"},
        logranks,
    ),
    Method(
        "Cumulative incidence",
        "`survfit(Surv(time, factor(status)) ~ 1)`, `cmprsk::cuminc`",
        "`AalenJohansenFitter().fit`",
        {"equal_times": f"{TIES}; ties are kept, where lifelines moves them apart at random"},
        incidences,
    ),
    Method(
        "Cox model: estimates, limits and P",
        '`coxph(ties = "efron")`',
        "`CoxPHFitter().fit`",
        {
            "equal_times": f"{TIES}; the search goes on to the last digits",
            "has_maximum": "no estimate where the likelihood has no maximum",
        },
        ratios,
    ),
    Method(
        "Cox model: likelihood-ratio test",
        "`summary(coxph(...))$logtest`",
        "`log_likelihood_ratio_test`",
        {},
        likelihood_ratios,
    ),
    Method(
        "Cox model: score test",
        "`coxph(...)$score`",
        "",
        {"score_test": "lifelines has none"},
        scores,
    ),
    Method(
        "Proportional hazards",
        '`cox.zph(transform = "km", terms = FALSE)`',
        "`proportional_hazard_test`",
        {"zph": "a score test, as in R since version 3 of survival"},
        proportionality,
    ),
    Method(
        "Exact interval of a proportion",
        "`binom.test`",
        "",
        {},
        binomial("exact", intervals.clopper_pearson),
    ),
    Method(
        "Wilson's interval",
        "`prop.test(correct = FALSE)`",
        "",
        {},
        binomial("wilson", lambda events, n: intervals.wilson(events / n, n)),
    ),
    Method(
        "Exact interval of a rate", "`poisson.test`", "", {}, binomial("poisson", intervals.poisson)
    ),
    Method(
        "Effective number of events",
        '`survey::svyciprop(method = "beta")`',
        "",
        {},
        effective_numbers,
    ),
    Method("Rao-Scott test", '`survey::svychisq(statistic = "F")`', "", {}, rao_scotts),
    Method("Exact test of several proportions", "`fisher.test`", "", {}, exact_tests),
    Method(
        "Fisher's odds ratio and interval",
        "`fisher.test`, its equations solved to the last digits",
        "",
        {},
        fisher_tests,
    ),
)


def below(value: float) -> str:
    """A difference as the power of ten that it stays below."""
    power = math.floor(math.log10(max(value, ROUNDING / 2)) + 1)
    # A minus sign, at which no line breaks.
    return f"1e\u2212{-power}"


def of_lifelines(method: Method) -> list[str]:
    agree, of = method.agreements
    return [
        method.name,
        method.lifelines or "–",
        f"{agree} of {of}" if method.lifelines else "–",
        capital("; ".join(method.rules.values())) or "–",
    ]


def of_report(method: Method) -> list[str]:
    _, of = method.agreements
    return [method.name, method.r, f"{of}", below(method.difference)]


def of_cohort(name: str, label: str) -> list[str]:
    """How many estimates of a whole cohort R computes too, and how near they come."""
    book, r = recomputed.by_book(name), recomputed.by_r(name)["answers"]
    worst = max(
        difference(recomputed.numbers(name, id), of_r)
        for id, of_r in r.items()
        if not recomputed.drawn(name, id)
    )
    patients, lines = (f"{book[id].value:.0f}" for id in ("n.patients", "n.events"))
    known = sum(number is not None for of_r in r.values() for number in of_r)
    return [label, patients, lines, f"{len(r)} of {len(book)}", f"{known:,}", below(worst)]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


TEXT = """# Methods and their checks against R

{made}

Survival curves, log-rank tests and Cox models are computed by lifelines.
R is what most readers of this field know, and the two do not agree everywhere.
Where they part, the report follows R; each such rule is a function of `salvage/stats/r_rules.py`.

R {r} with survival {survival} answered once, for public data sets and for awkward cohorts: ties, late entry, nobody or everybody dead.
Its answers are stored in `tests/reference` with the script that asked.
This page compares every stored answer.

## lifelines and the rules of R

:::{{table}} What lifelines computes, and the rules of R that the report adds.
:name: tab-methods-lifelines

{lifelines}
:::

Two results agree if no part differs by more than a millionth of R's; a number where R has none is a difference.

## The report against R

:::{{table}} The report against R: how R is asked for each method, and the largest difference.
:name: tab-methods-against-r

{report}
:::

The difference is the largest one over all cohorts, as a share of R's number, rounded up to a power of ten.
What lifelines does not compute is computed from its formula.

## Whole cohorts

R read the files of three cohorts and computed every estimate that it can, in its own way: the shipped cohort, and two test cohorts made of data that R publishes for teaching, with untreated patients, several lines, ties and blanks.

:::{{table}} Every estimate of a cohort that R computes too, with its limits, numbers and P.
:name: tab-methods-cohorts

{cohorts}
:::

What the book draws at random, and R anew, agrees within the error of the draws and is left out of the last column: the permutations of chapter 13, and an exact P for which there are too many tables to count.
An estimate that the book withholds, because too few patients or events bear it, is withheld by both.
R does not compute what is simulated with the book's own random numbers, what follows from the printed figures alone, and the shrunken rates.

Firth's model is held to the printed output of R's `coxphf` and to a search for the maximum by other means, the pooling of rates to `lme4` and `metafor`.
"""  # noqa: E501


def page() -> str:
    """The page in MyST Markdown."""
    with warnings.catch_warnings():
        # What lifelines says of an awkward cohort is not the question here.
        warnings.simplefilter("ignore")
        lifelines = [of_lifelines(m) for m in METHODS if m.lifelines or m.rules]
        report = [of_report(m) for m in METHODS]
    versions = answers("versions")
    return TEXT.format(
        made=MADE.format(source="tests/reference/agreement.py and the answers of R"),
        r=versions["R"].split()[2],
        survival=versions["packages"]["survival"],
        lifelines=table(
            ("Method", "lifelines", "lifelines alone agrees", "R's rule that is added"), lifelines
        ),
        report=table(("Method", "R", "Cohorts", "Difference below"), report),
        cohorts=table(
            ("Cohort", "Patients", "Lines", "Estimates", "Numbers", "Difference below"),
            [of_cohort(name, label) for name, label in recomputed.LABELS.items()],
        ),
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
