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
# # The categories compared
#
# Do response rates differ between the salvage categories by more than chance, and how large a difference could this cohort have shown?

# %% tags=["hide-input"]
from salvage.display import figures
from salvage.report import comparison
from salvage.report.gate import book_cohort

cohort = book_cohort()
comparison.answer(cohort)

# %% tags=["hide-input"]
figures.forest_rates(cohort, "orr")

# %% [markdown]
# ## Objective response
#
# Each rate stands with two intervals and, where the data allow it, with its shrunken counterpart.
# A raw rate describes these lines.
# Shrunken rates lie, on average over several categories, nearer to the true rates than raw ones do, if the lines were a fair sample of each category.
# They are not: later lines are selected, and so are the patients of each category.

# %% tags=["hide-input"]
comparison.rates(cohort, "orr")

# %% tags=["hide-input"]
comparison.shrinkage(cohort, "orr")

# %% [markdown]
# ## Complete response

# %% tags=["hide-input"]
figures.forest_rates(cohort, "cr")

# %% tags=["hide-input"]
comparison.rates(cohort, "cr")

# %% tags=["hide-input"]
comparison.shrinkage(cohort, "cr")

# %% [markdown]
# ## Tests across all categories
#
# A chi-squared test over lines would treat every line as a new patient.
# The Rao-Scott test corrects for patients who appear several times, but it needs larger numbers, which the table names.
# The exact test needs none, and takes lines as independent.

# %% tags=["hide-input"]
comparison.overlap(cohort)

# %% tags=["hide-input"]
comparison.across(cohort)

# %% tags=["hide-input"]
comparison.tests(cohort)

# %% [markdown]
# ## Each category against the largest
#
# Pairs are shown for completeness, not as evidence.
# Where no line of one category of a pair responded, or every line of one, the odds ratio has no estimate, but its interval still ends on one side.

# %% tags=["hide-input"]
comparison.pairs(cohort, "orr")

# %% tags=["hide-input"]
comparison.pairs(cohort, "cr")

# %% tags=["hide-input"]
comparison.multiplicity(cohort)

# %% [markdown]
# ## What could have been shown
#
# A comparison that finds nothing says little if it could not have found much.

# %% tags=["hide-input"]
comparison.detectable(cohort)

# %% [markdown]
# ## What must not be concluded
#
# :::{admonition} Do not conclude
# :class: not-conclude
# - That the category with the highest rate is the best treatment. This study cannot rank the options: patients were chosen for each treatment, at different lines and in different states.
# - That the categories are equal, where a test finds no difference. With few lines, large differences would go unseen.
# - That a P-value here tests a treatment. It tests whether rates differ, whatever the reason.
# - That shrinkage removes bias. It tames chance; selection stays.
# :::

# %% [markdown]
# ## How the numbers were made
#
# :::{admonition} Statistical detail
# :class: dropdown
# - **Shrunken rates.** The counts of the categories are binomial, on the effective number of lines of each, and their rates come from one beta distribution with parameters a and b, whose prior density is proportional to the power minus five halves of their sum. Posterior means and limits come from quadrature, without a sampler, and are tested against an independent calculation.
# - **Rao-Scott test.** Second-order correction with patients as clusters, as in R's `survey` package, whose stored answers the tests compare.
# - **Exact test.** Freeman and Halton's test by enumeration of all tables. Where there are too many of them, tables with the same margins are drawn from a fixed seed, and the standard error that this adds is given.
# - **Odds ratios.** Conditional maximum likelihood estimates with the exact intervals and tests of Fisher, as R's `fisher.test` gives them. They take lines as independent.
# - **Smallest difference.** Power of a two-sided comparison of two independent proportions by the arcsine transformation.
# - **Large cohorts.** Shrinkage is left out above a size that the table names, because it takes long there and adds nothing to the raw rates.
# :::
