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
# # Polatuzumab-based regimens
#
# Polatuzumab-based regimens have the highest published response rate of the six categories. Do the responses last?

# %% tags=["hide-input"]
from salvage.display import figures
from salvage.report import categories, context
from salvage.report.gate import book_cohort

CATEGORY = "polatuzumab"
cohort = book_cohort()
categories.answer(cohort, CATEGORY)

# %% tags=["hide-input"]
figures.response_bars_by_line(cohort, CATEGORY)

# %% [markdown]
# ## Background
#
# Polatuzumab vedotin carries a toxin to cells with CD79b, which most large B-cell lymphomas keep after CAR-T.
# It is usually given with rituximab, with or without bendamustine.
# Reports after CAR-T failure differ widely in their response rates, and progression-free survival in one of them is counted in weeks {cite}`gouni2022`.
# In the Spanish and British cohort the response rate at the first salvage line was the highest of all categories {cite}`iacoboni2024`.

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
# ## The question of this chapter: high response, short duration?
#
# A category can respond often and briefly.
# The rate of response counts every line; the duration of response counts responders only, from their first response.

# %% tags=["hide-input"]
categories.response_and_duration(cohort, CATEGORY)

# %% tags=["hide-input"]
categories.duration_by_category(cohort)

# %% tags=["hide-input"]
figures.dor(cohort, CATEGORY)

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
# - That polatuzumab-based regimens are the best choice because their response rate is the highest. It is a maximum over six small groups, and it says nothing of duration.
# - That responses of this category are shorter than those of another. The numbers of responders are too small to compare.
# - That the printed rate is precise. Its denominator is not printed; the chapter on the audit shows which denominators are possible.
# :::

# %% [markdown]
# ## How the numbers were made
#
# :::{admonition} Statistical detail
# :class: dropdown
# Each rate has two intervals. The exact interval treats lines as independent. The Wilson interval on the effective number of lines allows for patients who have several lines.
# Times are Kaplan-Meier medians over lines. A patient counts once for each line, so no test compares the curves of categories; first salvage lines alone count each patient once.
# Definitions and formulas stand in the [methods](../book/methods.md); every estimate of this page is in [results.json](../book/how_to_read.md#results-as-data) under the key `polatuzumab`.
# :::
