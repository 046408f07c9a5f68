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
# # Overall survival
#
# How long did the patients live, and from when should that be counted?

# %% tags=["hide-input"]
from salvage.display import figures
from salvage.report import survival
from salvage.report.gate import book_cohort

cohort = book_cohort()
survival.answer(cohort)

# %% tags=["hide-input"]
survival.by_origin(cohort)

# %% [markdown]
# ## From infusion: what the study counts
#
# The primary endpoint of the index study is survival from the first CAR-T infusion to death or last contact {cite}`tian2026`.

# %% tags=["hide-input"]
figures.os_from_infusion(cohort)

# %% [markdown]
# The curve is biased as an account of salvage therapy.
# A patient is in the data only because the lymphoma came back, and treated only because the patient lived until salvage began.
# Nobody can die in that time and still be counted as treated: it is immortal.
# Follow-up that starts before the patient could enter the study needs another origin or delayed entry {cite}`brown_jamaoncol`.

# %% tags=["hide-input"]
survival.why_biased(cohort)

# %% [markdown]
# ## From relapse: what a patient with a relapse can expect
#
# Relapse is where the question of salvage begins.
# Counted from there, the time before the relapse is left out.
# A patient who is in the data because of salvage was certain to live to its start, so only the wait for it is still guaranteed.
# What else remains is selection: a cohort of treated patients leaves out those who died before treatment could start.

# %% tags=["hide-input"]
figures.os_from_relapse(cohort)

# %% tags=["hide-input"]
survival.reading(cohort)

# %% [markdown]
# ## From the first salvage line: what treated patients lived
#
# From the start of the first salvage line no treated patient has any guaranteed time.
# This curve answers the question of a patient who is about to be treated.

# %% tags=["hide-input"]
survival.os_from_salvage(cohort)

# %% [markdown]
# ## Mean survival within a horizon
#
# A median looks at one point of a curve.
# The restricted mean uses all of the curve up to a horizon, and it exists where the median is not reached.

# %% tags=["hide-input"]
survival.restricted_means(cohort)

# %% [markdown]
# ## Follow-up, and what a range is not

# %% tags=["hide-input"]
survival.follow_up(cohort)

# %% tags=["hide-input"]
survival.observed_range(cohort)

# %% [markdown]
# ## What came first: treatment or death
#
# Time to next treatment counts the next line and death alike.
# Here they are apart: each is the probability that it came first, where the other can prevent it.

# %% tags=["hide-input"]
survival.competing(cohort)

# %% tags=["hide-input"]
survival.competing_reading(cohort)

# %% [markdown]
# ## Duration of response and progression-free survival over all lines
#
# Both end with the first progression that is recorded for the patient, on whatever line, or with death.
# Duration of response begins with the first complete or partial response, progression-free survival with the start of the line.
# A next line before that ends neither, because the lymphoma had not progressed; the table also gives the medians with the next line as censoring and as an event.
# Whether patients who respond live longer is a question of its own, which the [chapter on time and bias](13_time_and_bias.md) answers.
# Responses of several lines of one patient are not independent, so the interval can be too narrow where patients repeat.

# %% tags=["hide-input"]
figures.dor(cohort)

# %% tags=["hide-input"]
survival.responses(cohort)

# %% tags=["hide-input"]
survival.response_reading(cohort)

# %% [markdown]
# ## What must not be concluded
#
# :::{admonition} Do not conclude
# :class: not-conclude
# - That survival from infusion is what salvage therapy achieved: it contains the time before relapse, which every patient of the cohort had to survive.
# - That the range of observed times is a confidence interval, or that the median observed time is a median follow-up.
# - That medians counted from different origins can be compared between studies: read the origin before the number.
# - That the far end of a curve is known: look at the number at risk under it.
# - That patients without salvage would have lived as long as those who received it.
# :::

# %% [markdown]
# ## How the numbers were made
#
# :::{admonition} Statistical detail
# :class: dropdown
# - **Curves.** Kaplan-Meier with log-log limits. The table under each curve counts patients at risk just before each month, and those censored and dead up to it {cite}`morris2019`.
# - **Median.** The first month at which the curve is below one half. If the curve runs flat at exactly one half, the middle of the flat part, as R prints it. Its limits read the limits of the curve by the same rule.
# - **Survival at a month.** No interval before the first death, nor once all patients at risk have died. No value after the last observation while the curve is above zero.
# - **Competing risks.** Aalen-Johansen with log-log limits, as R's `survfit` computes them for several states. Nothing is said beyond the last observation, unless by then everyone had one of the events.
# - **Progression.** A response that ended by progression is one. A progression before the response of the same line did not end it. A best response of progressive disease without a month is put as late as it can be; where such lines are more than a fifth, no median is given.
# - **Follow-up.** Reverse Kaplan-Meier {cite}`schemper1996`.
# - **Restricted mean.** The area under the curve to the horizon, with the standard error of R's `print(survfit)`. The horizon is the last whole month at which enough patients are at risk from every origin.
# - **Smallest numbers.** A median that would rest on too few patients or events is not given; [](../book/methods.md) names the numbers.
# - **Ties by rounding.** Months that differ only by the rounding of a subtraction count as one time, as in R.
# - **Computed and checked.** lifelines computes the curves. Where R's `survival` package has another rule, the book follows R; [](../book/methods_against_r.md) names each rule and how near the results come to R's.
# :::
