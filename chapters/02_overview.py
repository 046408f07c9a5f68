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
# # Salvage therapy: an overview
#
# What was given after CAR-T failure, in which order, and how often did the lymphoma respond?

# %% tags=["hide-input"]
from salvage.display import figures
from salvage.report import overview
from salvage.report.gate import book_cohort

cohort = book_cohort()
overview.answer(cohort)

# %% tags=["hide-input"]
figures.response_bars(cohort)

# %% [markdown]
# ## How many lines
#
# A salvage line is one treatment after CAR-T failure, whatever its purpose.
# The published study counts each line as one event, and a patient can have several.

# %% tags=["hide-input"]
overview.lines(cohort)

# %% tags=["hide-input"]
overview.how_many(cohort)

# %% [markdown]
# ## In which order

# %% tags=["hide-input"]
figures.alluvial_diagram(cohort)

# %% tags=["hide-input"]
overview.sequences(cohort)

# %% tags=["hide-input"]
overview.order(cohort)

# %% [markdown]
# ## Responses by category
#
# Each line has one best response, by the Lugano criteria {cite}`cheson2014`.
# A line that could not be evaluated stays in the denominator: leaving it out would raise every rate.

# %% tags=["hide-input"]
overview.responses(cohort)

# %% tags=["hide-input"]
overview.evaluable(cohort)

# %% [markdown]
# ## Response rates over all categories
#
# The objective response rate counts complete and partial responses.
# Each rate has two intervals.
# The exact interval takes the lines as independent; the Wilson interval on the effective number of lines does not.

# %% tags=["hide-input"]
overview.rates(cohort)

# %% tags=["hide-input"]
overview.independence(cohort)

# %% [markdown]
# ## What must not be concluded
#
# :::{admonition} Do not conclude
# :class: not-conclude
# - That the response rate over all lines is the chance of response of one patient: patients with several lines count several times.
# - That the order of treatments was a trial of orders: each step was chosen after the outcome of the step before.
# - That one category works better than another: the chapter on comparison says what such a table can and cannot show.
# - That a response is a benefit: its duration and the survival of the patients stand in other chapters.
# :::

# %% [markdown]
# ## How the numbers were made
#
# :::{admonition} Statistical detail
# :class: dropdown
# - **Rates.** Responding lines over all lines of the set. Lines that were not evaluable count as no response.
# - **Exact interval.** Clopper and Pearson. It is valid for independent lines, and conservative.
# - **Effective number of lines.** The number divided by the design effect, which comes from the variance of the rate when whole patients are drawn, with a correction for the number of patients. It is never larger than the number of lines. Where all or none of the lines responded, or all are of one patient, the variance is zero and says nothing: each patient then counts as one line.
# - **Wilson interval.** Wilson's score interval, computed on the effective number.
# - **Checks.** Clopper-Pearson and Wilson limits agree with R. The effective number agrees with the design effect of R's `survey` package, where the variance is not zero.
# :::
