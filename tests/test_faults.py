"""Small faults planted in the statistics, each of which the quick tests must catch.

A fault is a text that stands once in a module and what replaces it. The checkout is copied, the
fault planted, and one quick test file run on the copy: it must fail. Without the fault it passes.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.reference_notebooks import ROOT

pytestmark = pytest.mark.slow
COPIED = ("salvage", "data", "tests", "chapters", "book", "pyproject.toml", "_toc.yml")


@dataclass(frozen=True)
class Fault:
    """What is wrong, where, the sound text, the faulty one, and the test file that must notice."""

    name: str
    module: str
    sound: str
    faulty: str
    noticed_by: str


FAULTS = (
    Fault(
        "tie rule of Breslow in place of Efron's",
        "stats/r_rules.py",
        "sums = everyone[tie] - part[:, None] * tied[tie]",
        "sums = everyone[tie]",
        "stats/test_cox.py",
    ),
    Fault(
        "at risk after a time in place of before it",
        "stats/r_rules.py",
        'gone = np.sort(stop).searchsorted(times - TIME_TOLERANCE, side="left")',
        'gone = np.sort(stop).searchsorted(times + TIME_TOLERANCE, side="right")',
        "stats/test_survival.py",
    ),
    Fault(
        "entry at a death counts as at risk",
        "stats/r_rules.py",
        'entered = begin.searchsorted(times - TIME_TOLERANCE, side="left")',
        'entered = begin.searchsorted(times + TIME_TOLERANCE, side="right")',
        "stats/test_survival.py",
    ),
    Fault(
        "median read where the curve is at one half, not below",
        "stats/r_rules.py",
        "return float((times[first] + times[lower[0]]) / 2)",
        "return float(times[first])",
        "stats/test_survival.py",
    ),
    Fault(
        "limits of 0 where the curve is 0",
        "stats/r_rules.py",
        "ends = np.where(curve == 0, np.nan, 1.0)",
        "ends = np.where(curve == 0, 0.0, 1.0)",
        "stats/test_survival.py",
    ),
    Fault(
        "proportional hazards on the time after the death",
        "stats/r_rules.py",
        "scale = np.repeat(1 - np.concatenate([[1.0], curve[:-1]]), deaths)",
        "scale = np.repeat(1 - curve, deaths)",
        "stats/test_cox.py",
    ),
    Fault(
        "deaths counted as the events of follow-up",
        "stats/survival.py",
        'return kaplan_meier(time, ~as_binary(event, "event"), entry)',
        'return kaplan_meier(time, as_binary(event, "event"), entry)',
        "stats/test_survival.py",
    ),
    Fault(
        "exact limits with the tail of both sides",
        "stats/intervals.py",
        "tail = (1 - level) / 2\n    low = 0.0 if events == 0 else float(special.betaincinv(events,"
        " n - events + 1, tail))",
        "tail = 1 - level\n    low = 0.0 if events == 0 else float(special.betaincinv(events, n -"
        " events + 1, tail))",
        "stats/test_intervals.py",
    ),
    Fault(
        "effective n larger than n",
        "stats/clustered.py",
        "return min(float(n), p * (1 - p) / v * ratio**2)",
        "return p * (1 - p) / v * ratio**2",
        "stats/test_clustered.py",
    ),
    Fault(
        "design effect without the small-sample factor",
        "stats/clustered.py",
        "v = m / (m - 1) * float(",
        "v = float(",
        "stats/test_clustered.py",
    ),
    Fault(
        "denominator without lines that were not evaluable",
        "analysis/response.py",
        "    y = responded(lines, measure)\n    return rate(",
        '    y = responded(lines[lines["best_response"] != "NE"], measure)\n    return rate(',
        "analysis/test_response.py",
    ),
    Fault(
        "objective response without partial responses",
        "analysis/response.py",
        '"orr": RESPONSE',
        '"orr": ("CR",)',
        "analysis/test_response.py",
    ),
    Fault(
        "a new treatment counts as the end of a response",
        "analysis/survival.py",
        'if rule in ("censored_at_next_line", "next_line_event"):',
        "if True:",
        "analysis/test_endpoints.py",
    ),
    Fault(
        "progression-free survival without deaths",
        "analysis/survival.py",
        'event = progressed.notna() | lines["died"]',
        "event = progressed.notna()",
        "analysis/test_endpoints.py",
    ),
    Fault(
        "next line of the next patient",
        "analysis/survival.py",
        'cohort.salvage["start_month"].groupby(owners).shift(-1)',
        'cohort.salvage["start_month"].shift(-1)',
        "analysis/test_survival.py",
    ),
    Fault(
        "next line taken from the line before",
        "analysis/survival.py",
        'cohort.salvage["start_month"].groupby(owners).shift(-1)',
        'cohort.salvage["start_month"].groupby(owners).shift(1)',
        "analysis/test_survival.py",
    ),
    Fault(
        "survival from relapse counted from infusion",
        "analysis/survival.py",
        '        "OS from relapse",\n        patients,\n        patients["relapse_month"],',
        '        "OS from relapse",\n        patients,\n        0 * patients["relapse_month"],',
        "analysis/test_survival.py",
    ),
    Fault(
        "a relapse at the cut-off is late",
        "cohort/model.py",
        'return self.patients["relapse_month"] > self.study.early_relapse_months',
        'return self.patients["relapse_month"] >= self.study.early_relapse_months',
        "cohort/test_check.py",
    ),
    Fault(
        "ECOG 2 counts as good",
        "cohort/schema.py",
        "POOR_ECOG: Final = 2",
        "POOR_ECOG: Final = 3",
        "analysis/test_prognosis.py",
    ),
    Fault(
        "Holm without keeping the order",
        "stats/exact.py",
        "running = max(running, min(1.0, (len(known) - rank) * p))",
        "running = min(1.0, (len(known) - rank) * p)",
        "analysis/test_prognosis.py",
    ),
    Fault(
        "a landmark that keeps those who left before it",
        "analysis/bias.py",
        "keep=infusion.time > cut),",
        "keep=infusion.time >= 0),",
        "analysis/test_bias.py",
    ),
    Fault(
        "a landmark that keeps those whose time ends at it",
        "analysis/bias.py",
        "keep=infusion.time > cut),",
        "keep=infusion.time >= cut),",
        "analysis/test_bias.py",
    ),
    Fault(
        "guarantee time over the time of all patients, treated or not",
        "analysis/survival.py",
        'total = float(treated["os_month"].sum())',
        'total = float(cohort.patients["os_month"].sum())',
        "analysis/test_survival.py",
    ),
    Fault(
        "lost patients of the null keep their full time",
        "analysis/simulate.py",
        "after = np.where(lost, after * rng.random(shape), after)",
        "after = np.where(lost, after, after)",
        "analysis/test_simulate.py",
    ),
    Fault(
        "survival after relapse dealt without its death",
        "analysis/simulate.py",
        "after[dealt], died[dealt])",
        "after[dealt], died[rows])",
        "analysis/test_bias.py",
    ),
    Fault(
        "responders at risk as responders from the start",
        "analysis/bias.py",
        "before = np.where(month < time, month, time)",
        "before = np.where(month < time, 0.0, time)",
        "analysis/test_bias.py",
    ),
    Fault(
        "delayed entry forgotten",
        "analysis/bias.py",
        'cohort, ["late"], infusion, entry=relapse, keep=infusion.time > relapse',
        'cohort, ["late"], infusion, keep=infusion.time > relapse',
        "analysis/test_bias.py",
    ),
    Fault(
        "relapse that lengthens survival in the null",
        "analysis/simulate.py",
        "after = setting.median_survival * scaled ** (1 / setting.shape)",
        "after = setting.median_survival * scaled ** (1 / setting.shape) * relapse /"
        " setting.median_relapse",
        "analysis/test_simulate.py",
    ),
    Fault(
        "days read as months",
        "cohort/cells.py",
        "DAYS_PER_MONTH: Final = 30.4375",
        "DAYS_PER_MONTH: Final = 1.0",
        "cohort/test_readers.py",
    ),
    Fault(
        "exposure of a line to last contact although it ended",
        "analysis/safety.py",
        'end = lines["end_month"] + AFTER_END',
        'end = lines["os_month"] + AFTER_END',
        "analysis/test_safety.py",
    ),
    Fault(
        "the time of two lines counted twice",
        "analysis/safety.py",
        '[end, lines["next_start"], lines["os_month"]]',
        '[end, lines["os_month"]]',
        "analysis/test_safety.py",
    ),
    Fault(
        "an infusion is over on its day",
        "analysis/safety.py",
        "LEAST_OF_ONE_OFF: Final = 90 / DAYS_PER_MONTH",
        "LEAST_OF_ONE_OFF: Final = 0 / DAYS_PER_MONTH",
        "analysis/test_safety.py",
    ),
    Fault(
        "events outside the exposure counted over it",
        "analysis/safety.py",
        '("events", inside),',
        '("events", linked),',
        "analysis/test_safety.py",
    ),
    Fault(
        "an event without a grade counts as mild",
        "analysis/safety.py",
        "        treated - ungraded,",
        "        treated,",
        "analysis/test_safety.py",
    ),
)


def run(folder: Path, test_file: str) -> subprocess.CompletedProcess[str]:
    """Run one test file of a copy of the checkout, alone and without coverage."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
    ]
    command += ["-o", "addopts=", "-m", "not slow", f"tests/{test_file}"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the tests read."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    return tmp_path


def test_faults_are_at_least_twenty_and_each_stands_once() -> None:
    assert len(FAULTS) >= 20
    for fault in FAULTS:
        text = (ROOT / "salvage" / fault.module).read_text(encoding="utf-8")
        assert text.count(fault.sound) == 1, (
            f"{fault.name}: the sound text stands {text.count(fault.sound)} times"
        )


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_caught(checkout: Path, fault: Fault) -> None:
    module = checkout / "salvage" / fault.module
    module.write_text(
        module.read_text(encoding="utf-8").replace(fault.sound, fault.faulty), encoding="utf-8"
    )
    done = run(checkout, fault.noticed_by)
    # 1 is failed tests; anything else would be a run that did not happen.
    assert done.returncode == 1, (
        f"{fault.name} was not caught:\n{done.stdout[-2000:]}\n{done.stderr[-500:]}"
    )


@pytest.mark.parametrize("test_file", sorted({fault.noticed_by for fault in FAULTS}))
def test_without_a_fault_the_same_tests_pass(checkout: Path, test_file: str) -> None:
    done = run(checkout, test_file)
    assert done.returncode == 0, done.stdout[-2000:]
