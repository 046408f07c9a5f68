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
# # Immune checkpoint inhibitors
#
# Who responds to a checkpoint inhibitor after CAR-T failure?

# %% tags=["hide-input"]
from salvage.display import figures
from salvage.report import categories, context
from salvage.report.gate import book_cohort

CATEGORY = "checkpoint"
cohort = book_cohort()
categories.answer(cohort, CATEGORY)

# %% tags=["hide-input"]
figures.response_bars_by_line(cohort, CATEGORY)

# %% [markdown]
# ## Background
#
# CAR-T cells and the patient's own T cells can become exhausted, and antibodies against PD-1 or PD-L1 are meant to release them.
# In one series the response rate was low and survival was longer in patients who had relapsed late {cite}`major2023`; that contrast carries the time bias that a later chapter of this book explains.
# A small series saw few responses as well {cite}`chong2022`.
# Some rarer histologies, such as primary mediastinal lymphoma, are held to be more sensitive.

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
# ## The question of this chapter: who responds?
#
# When responses are few, it is tempting to look for what the responders had in common.
# The table shows the groups; it does not test them.

# %% tags=["hide-input"]
categories.responders(cohort, CATEGORY)

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
# - That a checkpoint inhibitor never works, or works in one group only. With so few lines a group without a response is expected by chance.
# - That late relapse predicts response. The groups overlap, were chosen after the fact and were not compared by a test.
# - That a missing response means a useless drug. Stable disease may have bridged a patient to the next line.
# :::

# %% [markdown]
# ## How the numbers were made
#
# :::{admonition} Statistical detail
# :class: dropdown
# Each rate has two intervals. The exact interval treats lines as independent. The Wilson interval on the effective number of lines allows for patients who have several lines.
# Times are Kaplan-Meier medians over lines. A patient counts once for each line, so no test compares the curves of categories; first salvage lines alone count each patient once.
# Definitions and formulas stand in the [methods](../book/methods.md); every estimate of this page is in [results.json](../book/how_to_read.md#results-as-data) under the key `checkpoint`.
# :::
