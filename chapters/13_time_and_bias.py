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
# # Time and bias
#
# The abstract of the index study reports that patients who relapse late live longer.
# Would the same analysis say so if the time of relapse meant nothing?

# %% tags=["hide-input"]
from salvage.report import bias
from salvage.report.gate import book_cohort

cohort = book_cohort()
bias.answer(cohort)

# %% tags=["hide-input"]
bias.permutation_distribution(cohort)

# %% [markdown]
# For each draw of the figure, every pair of survival after relapse and death is dealt to another patient's time of relapse.
# The times themselves stay as they are; only what links them is gone, and what the analysis still finds is guaranteed time.
# This needs no model of survival, but it takes follow-up after relapse as alike whenever the relapse came.

# %% [markdown]
# ## The usual analysis, and why it is biased
#
# The index study counts survival from the first CAR-T infusion and compares late with early relapse {cite}`tian2026`.
# A patient whose relapse was late was alive until then: that is part of being in the late group.
# A patient whose relapse was early has the same guarantee for a shorter time.
# The time up to the relapse is counted in favour of the late group although nobody in it could have died.
# This is immortal time, or guarantee time.
# The first row of the table shows this analysis as a warning, and the rows below start the clock elsewhere.

# %% tags=["hide-input"]
bias.origins(cohort)

# %% tags=["hide-input"]
bias.origin_forest(cohort)

# %% [markdown]
# Survival from relapse asks the right question: once the lymphoma is back, does it matter how long it stayed away?
# At that moment the time of relapse is known, and it guarantees no survival after it.
# A patient who is in the data because of salvage still had to live through the wait for it.
# Survival from the first salvage line leaves that wait out.
#
# Every patient of the index study was selected by having received salvage.
# Those who relapsed and died untreated are missing from it, from any origin.

# %% [markdown]
# ## Why a landmark does not repair it here
#
# A landmark analysis starts the clock at a fixed time, here the cut-off, and compares those who are still followed by what is known of them then {cite}`anderson1983`.
# It repairs a comparison of groups in which some will never have the event that defines the group.
# Here everyone relapses.
# At the landmark the early group has its relapse behind it and is already dying of it, while the late group has its relapse still to come.
# Late patients are again guaranteed some time free of relapse, only counted from a later day.

# %% tags=["hide-input"]
bias.landmark(cohort)

# %% [markdown]
# Delayed entry counts a patient as at risk only from the relapse on, with the clock still at infusion {cite}`brown_jamaoncol`.
# It compares patients at the same time since infusion.
# It is right if the hazard after relapse does not change; if the hazard falls or rises with time since relapse, it is biased one way or the other, as the table of simulated worlds shows.

# %% [markdown]
# ## Months to relapse without a cut-off, and every cut-off
#
# A continuous covariate needs no cut-off, and a sweep shows whether a result hangs on one.
# Both are shown from relapse and from infusion in the [chapter on prognostic factors](12_prognostic_factors.md).

# %% tags=["hide-input"]
bias.per_month(cohort)

# %% tags=["hide-input"]
bias.sweep_forest(cohort)

# %% [markdown]
# ## The same bias between responders and others
#
# Whoever responded to salvage had to live long enough to respond.
# A patient who died early had no time to, and stands among those without a response.
# If responders are compared with others as if the response were known when treatment began, the wait for it counts as their survival, and the comparison favours them even where a response changes nothing.
# So each patient is counted as a responder only from the day of the response on, and before it among those without one {cite}`mantel1974`.
# A landmark analysis would ask the same at one chosen month {cite}`anderson1983`.

# %% tags=["hide-input"]
bias.responders(cohort)

# %% [markdown]
# ## The whole cohort enters late
#
# The bias is not confined to the contrast.
# Nobody can be treated with salvage before the first salvage line, so survival counted from infusion is too long for all who were.

# %% tags=["hide-input"]
bias.delayed_entry(cohort)

# %% [markdown]
# ## The index study: all cohorts that agree with its abstract
#
# The patients behind the abstract are not public, and many cohorts agree with every figure that it prints.
# A search found a number of them that differ in what is assumed.

# %% tags=["hide-input"]
bias.spread_of_ratios()

# %% tags=["hide-input"]
bias.agreeing_cohorts()

# %% [markdown]
# ## The index study: what its analysis gives where there is nothing to find
#
# Cohorts of the size of the index study were simulated.
# Months to relapse and survival after relapse were drawn independently, so the time of relapse has no effect on what follows.
# An analysis without bias gives ratios around one.
# The settings are named constants in `salvage/analysis/simulate.py`; change them and build again.

# %% tags=["hide-input"]
bias.null_distribution()

# %% tags=["hide-input"]
bias.null_table()

# %% tags=["hide-input"]
bias.null()

# %% [markdown]
# ## What data would answer the question
#
# - All patients who received CAR-T, not only those who received salvage, with the date of relapse or of last contact without relapse. Relapse can then enter a model as a covariate that changes with time.
# - The date of each relapse, of each treatment and of death, so that any origin can be used.
# - The patients who relapsed and were not treated, with the reason.

# %% [markdown]
# ## What must not be concluded
#
# :::{admonition} Do not conclude
# :class: not-conclude
# - That late relapse is not a good sign. The abstract of the index study cannot tell; other cohorts, counted from relapse, may.
# - That the index study is wrong. Its figures are what its analysis gives; the analysis cannot carry the conclusion.
# - That a ratio from relapse in a synthetic cohort is an estimate for patients. It is one of many that agree with the abstract.
# - That a response lengthens life, however it is counted. It also marks those who would have lived longer without it.
# - That counting from relapse removes every bias. The selection by having received salvage remains.
# :::

# %% [markdown]
# ## How the numbers were made
#
# :::{admonition} Statistical detail
# :class: dropdown
# - **Contrasts.** Cox models with Efron ties and Wald intervals; Firth's likelihood where a group is separated.
# - **Delayed entry.** A patient is at risk from the relapse on; a relapse on the day of death or last contact leaves no time at risk and is left out.
# - **Landmark.** Patients still followed after the cut-off, clock at the cut-off, groups as known then.
# - **The cohort's own null.** A named seed, and both parts sorted before they are dealt, so that the order of the rows does not matter. The geometric mean of the ratio over the draws, and the share of draws at or below the observed ratio; the percentiles beside the mean are those of the draws and no confidence interval. Of many patients fewer draws are made.
# - **Response.** A Cox model of rows from start to stop, with a row before and a row after the response; the first response on any salvage line counts, and goes on counting after it ends. A patient with a response whose month is not recorded is left out. Below the smallest numbers of deaths and of patients in a group there is no ratio.
# - **Simulation.** Log-normal months to relapse, exponential or Weibull survival after it, independent; a small share lost to follow-up; Cox models for all cohorts at once by Newton's method; a named seed. Cohorts without a contrast are left out of the mean and counted.
# - **Cohorts that agree with the abstract.** Found by the search of `python -m salvage calibrate --alternatives`, stored in the project and each verified again by a test.
# - **Checked against.** R's `survival` for the models, those with start and stop included; lifelines for draws of the null; the simulation against an independent run in R, within Monte Carlo error.
# :::
