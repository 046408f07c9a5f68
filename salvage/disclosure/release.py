"""What a public book may say of its cohort.

``audience: public`` in study.yaml turns disclosure control on. Nothing is shown unless it was
cleared:

- what says nothing of the cohort (other studies, the audit of the abstract, simulations) is marked
  ``CLEARED`` where it is made;
- what :func:`release_of` releases: a fixed set of counts that are linked by sums, with every small
  count hidden and as many others as it takes; and numbers of deaths and of censorings over
  intervals that hold enough of both. Every rate, interval, P, median and hazard ratio of a public
  book is computed from these released numbers alone, so that none of them can tell more than they
  do.

Anything else becomes a sentence that says that it is hidden and why. An estimate of results.json
keeps its id only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from salvage.analysis.survival import Times
from salvage.cohort import Cohort, once
from salvage.cohort.study import Study
from salvage.disclosure.linked_counts import linked_counts, named_terms
from salvage.disclosure.suppression import is_small, protect
from salvage.disclosure.times import released_times, together


@dataclass(frozen=True)
class Release:
    """What a public book may say of a cohort; everything in it is screened.

    ``counts`` has ``None`` for a hidden count. ``times`` holds, by time origin, the released
    durations of each relapse group (of ``all`` patients where the groups are not released), each
    moved to the end of its interval. ``terms`` are the adverse events that may be named.
    """

    study: Study
    counts: Mapping[str, int | None]
    times: Mapping[str, Mapping[str, Times]]
    terms: Sequence[str]

    def count(self, name: str) -> int | None:
        """One released count, or ``None`` where it is hidden or not part of the release."""
        return self.counts.get(name)

    def all_patients(self, origin: str) -> Times | None:
        """The released durations of all patients from one origin."""
        groups = self.times.get(origin)
        return together(list(groups.values())) if groups else None


@once
def release_of(cohort: Cohort) -> Release:
    """The numbers of a cohort that a public book may show (see the head of this module)."""
    study = cohort.study
    below, with_zero = study.suppress_below, study.suppress_zero
    terms = named_terms(cohort)
    system = linked_counts(cohort, terms)
    # Of so few patients even a zero tells too much.
    too_few = is_small(len(cohort.patients), below, with_zero)
    hidden = protect(system, below, with_zero) | too_few
    counts = {
        name: None if hide else int(value)
        for name, hide, value in zip(system.names, hidden, system.totals, strict=True)
    }
    shown = [t for t in terms if counts[f"term.{t}.any"]]
    return Release(study, counts, released_times(cohort, counts), shown)
