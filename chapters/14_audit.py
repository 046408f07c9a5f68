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
# # The published figures audited
#
# The abstract prints about a dozen figures.
# Do they fit one another, what do they imply, and what do they leave open?
# This chapter audits the published abstract, whatever the cohort of this book.

# %% tags=["hide-input"]
from salvage.report import audit
from salvage.report.gate import book_cohort

cohort = book_cohort()
audit.answer()

# %% tags=["hide-input"]
audit.ranges_figure(cohort)

# %% tags=["hide-input"]
audit.overview()

# %% [markdown]
# ## The hazard ratio, its interval and its P-value
#
# A ratio, an interval and a P-value come from one pair of numbers: the log hazard ratio and its standard error.
# Each printed figure is rounded, so each allows a strip of such pairs, and the pairs that print all of them form a small region.

# %% tags=["hide-input"]
audit.se_region()

# %% tags=["hide-input"]
audit.standard_error()

# %% [markdown]
# ## How many patients died
#
# The abstract does not print the number of deaths.
# The standard error bounds it from below.

# %% tags=["hide-input"]
audit.deaths()

# %% tags=["hide-input"]
audit.deaths_table()

# %% [markdown]
# ## The median follow-up
#
# Follow-up should be estimated by reverse Kaplan-Meier, in which death censors {cite}`schemper1996`.
# The abstract prints a median follow-up equal to the median survival.

# %% tags=["hide-input"]
audit.follow_up_table()

# %% tags=["hide-input"]
audit.follow_up()

# %% [markdown]
# The abstract also prints a range beside the median survival.
# A median estimated by Kaplan-Meier has a confidence interval; a range of observed times mixes deaths with last contacts and says nothing of the precision of the median.

# %% [markdown]
# ## The six categories
#
# The abstract prints the sums over the six categories, one rate for each of two categories, that each is the highest of the six, and one rate within the second CAR-T infusions.
# Every table of counts that agrees with all of this was counted.

# %% tags=["hide-input"]
audit.feasible_tables()

# %% tags=["hide-input"]
audit.ranges_table()

# %% tags=["hide-input"]
audit.switches()

# %% [markdown]
# A percentage with one decimal can be printed by few denominators only; which ones is checked for each rate in the table at the head of this chapter.
# The polatuzumab rate is two thirds, so its denominator is a multiple of three.

# %% [markdown]
# ## Over many cohorts that agree with the abstract
#
# What a proof does not settle, a search can explore.
# A seeded search found cohorts that agree with every published figure and differ in what is assumed: the split over categories, the months to relapse, survival after relapse, who responds, the number of deaths and the cut-off.

# %% tags=["hide-input"]
audit.spread_figure(cohort)

# %% tags=["hide-input"]
audit.spread_table()

# %% tags=["hide-input"]
audit.over_cohorts()

# %% [markdown]
# ## Another abstract
#
# The same checks run on any other abstract: `python -m salvage audit --text ABSTRACT.txt` reads its figures and gives each a verdict.
# [Auditing any abstract](../book/audit.md) says what is checked and how.

# %% [markdown]
# ## What must not be concluded
#
# :::{admonition} Do not conclude
# :class: not-conclude
# - That figures that fit one another are right. Consistency is the least that figures owe.
# - That the authors did anything wrong. The audit is of an abstract, which has no room for methods.
# - That a value in the middle of a range is likely. A range over cohorts that a search found has no probabilities.
# - That the number of deaths is proven for another kind of model. The bound holds for one Cox model of the patients with a Wald interval.
# :::

# %% [markdown]
# ## How the numbers were made
#
# :::{admonition} Statistical detail
# :class: dropdown
# - **Region.** Every printed figure is an interval of half a digit either way; the region is a polygon in log hazard ratio and standard error.
# - **Simple bound.** The information of a two-group Cox model is a sum over deaths of at most one quarter each.
# - **Sharp bound.** Dynamic programming over all sequences of risk sets, with blocks of tied deaths by Efron and by Breslow, bounds the information from above for each number of deaths and each size of the groups.
# - **Witnesses.** For each number of deaths and size of the late group that is not excluded, a stored sequence prints all figures; a test fits each again.
# - **Tables.** Counted exactly by convolution over categories, with whole numbers.
# - **Cohorts.** Made by `python -m salvage calibrate --alternatives` from a named seed, stored under `data/`, verified again one by one by a test, as are the quantities measured in them.
# :::
