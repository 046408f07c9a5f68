# ---
# jupyter:
#   jupytext:
#     formats: chapters//py:percent,chapters//md:myst,tests/notebooks//ipynb
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The cohort
#
# Who was treated, when did the lymphoma come back after CAR-T, and for how long were the patients followed?

# %% tags=["hide-input"]
from salvage.display import figures
from salvage.report import patients
from salvage.report.gate import book_cohort

cohort = book_cohort()
patients.answer(cohort)

# %% tags=["hide-input"]
figures.cohort_flow(cohort)

# %% tags=["hide-input"]
patients.treated(cohort)

# %% tags=["hide-input"]
patients.setting(cohort.study)

# %% [markdown]
# ## Who the patients were
#
# Baseline is the state before the first CAR-T infusion, not before salvage.
# Patients can be much sicker when salvage begins, and these values do not show it.
# The table gives no P-values: early and late relapse were not assigned at random, and a test of baseline balance would answer no question of this report.

# %% tags=["hide-input"]
patients.baseline(cohort)

# %% tags=["hide-input"]
patients.missing(cohort)

# %% [markdown]
# ## When the lymphoma came back
#
# Time to relapse runs from the first CAR-T infusion to progression or relapse.
# A patient whose lymphoma never responded to CAR-T counts as relapsed at the first documented progression.

# %% tags=["hide-input"]
figures.relapse_timeline(cohort)

# %% tags=["hide-input"]
patients.by_relapse(cohort)

# %% [markdown]
# Cohorts of patients after CAR-T failure use several cut-offs between early and late relapse, and the published abstract does not state its own.
# The cut-off of this book is a setting: another one forms other groups.

# %% tags=["hide-input"]
patients.cut_offs(cohort)

# %% [markdown]
# ## For how long the patients were followed

# %% tags=["hide-input"]
patients.follow_up(cohort)

# %% tags=["hide-input"]
patients.why_follow_up_differs(cohort)

# %% [markdown]
# ## The course of each patient

# %% tags=["hide-input"]
patients.courses(cohort)

# %% tags=["hide-input"]
figures.swimmer_plot(cohort)

# %% [markdown]
# ## How complete the data are

# %% tags=["hide-input"]
patients.completeness(cohort)

# %% tags=["hide-input"]
patients.unusual(cohort)

# %% [markdown]
# ## What must not be concluded
#
# :::{admonition} Do not conclude
# :class: not-conclude
# - That late relapse protects: a patient with a late relapse has, by definition, survived until then. The chapter on time and bias shows how much that alone can do.
# - That a difference between the two columns of the baseline table explains a difference in survival, or that the absence of one excludes it.
# - That the observed median is a median follow-up: it ends with death for every patient who died.
# - That these patients stand for all patients after CAR-T failure: those who never received salvage may be missing from the data.
# :::

# %% [markdown]
# ## How the numbers were made
#
# :::{admonition} Statistical detail
# :class: dropdown
# - **Time.** Months since the first CAR-T infusion. No calendar date enters the analysis. A month is one twelfth of an average year.
# - **Early and late.** A relapse exactly at the cut-off is early; a later one is late.
# - **Baseline.** Medians with ranges, and counts with percentages of the patients whose value is recorded. Nothing is imputed.
# - **Observed follow-up.** The median of all times from infusion to death or last contact.
# - **Reverse Kaplan-Meier.** Death censors, and being alive at last contact is the event {cite}`schemper1996`. The median and its log-log interval follow R's `survival` package and are tested against its stored answers.
# - **Data check.** Every table passes the same checks before any number is computed: codes, ranges, the order of events within a patient, and ids across tables. An error stops the book; nothing is dropped in silence.
# :::
