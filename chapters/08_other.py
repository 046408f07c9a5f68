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
# # Other targeted or chemotherapy drugs
#
# What stands behind the category of all other drugs, and can its rate describe any of them?

# %% tags=["hide-input"]
from salvage.display import figures
from salvage.report import categories, context
from salvage.report.gate import book_cohort

CATEGORY = "other"
cohort = book_cohort()
categories.answer(cohort, CATEGORY)

# %% tags=["hide-input"]
figures.response_bars_by_line(cohort, CATEGORY)

# %% [markdown]
# ## Background
#
# This category holds what is left: chemotherapy, and targeted drugs other than those of the chapters before.
# The abstract of the index study names none of them {cite}`tian2026`.
# Elsewhere, chemotherapy and lenalidomide brought responses in about a quarter of patients treated first after CAR-T failure {cite}`iacoboni2024`.
# In the third-line analysis of a randomised trial, patients who received chemotherapy after axicabtagene ciloleucel had a short progression-free survival {cite}`zuma7_3l`.
# In the French registry, lenalidomide was the most frequent salvage therapy {cite}`dibiasi2022`.

# %% tags=["hide-input"]
context.reported(cohort, CATEGORY)

# %% tags=["hide-input"]
context.first_lines(cohort, CATEGORY)

# %% [markdown]
# ## Who received it, and when

# %% tags=["hide-input"]
categories.who_received(cohort, CATEGORY)

# %% tags=["hide-input"]
categories.regimens(cohort, CATEGORY)

# %% [markdown]
# ## Responses

# %% tags=["hide-input"]
categories.rates(cohort, CATEGORY)

# %% tags=["hide-input"]
categories.first_against_later(cohort, CATEGORY)

# %% [markdown]
# ## The question of this chapter: how mixed is the mix?

# %% tags=["hide-input"]
categories.regimen_mix(cohort, CATEGORY)

# %% [markdown]
# ## How soon and for how long

# %% tags=["hide-input"]
categories.durations(cohort, CATEGORY)

# %% tags=["hide-input"]
figures.line_curves(cohort, CATEGORY)

# %% [markdown]
# ## What must not be concluded
#
# :::{admonition} Do not conclude
# :class: not-conclude
# - That any single drug of this category has the rate of the category.
# - That these drugs are the last choice because they stand last. The order of the chapters follows the abstract, not the merit.
# - That the category is comparable between hospitals. Each hospital's mix is its own.
# :::

# %% [markdown]
# ## How the numbers were made
#
# :::{admonition} Statistical detail
# :class: dropdown
# Each rate has two intervals. The exact interval treats lines as independent. The Wilson interval on the effective number of lines allows for patients who have several lines.
# Times are Kaplan-Meier medians over lines. A patient counts once for each line, so no test compares the curves of categories; first salvage lines alone count each patient once.
# Definitions and formulas stand in the [methods](../book/methods.md); every estimate of this page is in [results.json](../book/how_to_read.md#results-as-data) under the key `other`.
# :::
