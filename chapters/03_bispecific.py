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
# # Bispecific antibodies
#
# How often does a bispecific antibody bring a response after CAR-T failure, at which line is it given, and how long does the benefit last?

# %% tags=["hide-input"]
from salvage.display import figures
from salvage.report import categories, context
from salvage.report.gate import book_cohort

CATEGORY = "bispecific"
cohort = book_cohort()
categories.answer(cohort, CATEGORY)

# %% tags=["hide-input"]
figures.response_bars_by_line(cohort, CATEGORY)

# %% [markdown]
# ## Background
#
# A bispecific antibody binds CD20 on the lymphoma cell and CD3 on the T cell.
# It is taken off the shelf, so treatment can start within days of a relapse.
# In the Spanish and British cohort, bispecific antibodies were among the categories with the most responses at the first salvage line after CAR-T failure {cite}`iacoboni2024`.
# In another series the rate of response rose with the time between CAR-T and relapse {cite}`shumilov2025`.
# In the French registry, patients who failed late had a longer progression-free survival with a bispecific antibody than with chemotherapy {cite}`descart_late2025`.
# None of these comparisons was randomised.

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
# ## The question of this chapter: does the line matter?
#
# The same drug may meet a different disease at a later line: more treatment behind it, fewer healthy T cells, and only those patients who have lived to receive it.

# %% tags=["hide-input"]
categories.by_line(cohort, CATEGORY)

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
# - That bispecific antibodies are better or worse than another category. Nobody was randomised, and each category holds few lines.
# - That an early line works better than a late one, or the reverse. Patients who reach a late line were selected by surviving.
# - That a rate over lines is the chance of one patient. A patient can stand in it more than once, and those treated were chosen for the drug.
# :::

# %% [markdown]
# ## How the numbers were made
#
# :::{admonition} Statistical detail
# :class: dropdown
# Each rate has two intervals. The exact interval treats lines as independent. The Wilson interval on the effective number of lines allows for patients who have several lines.
# Times are Kaplan-Meier medians over lines. A patient counts once for each line, so no test compares the curves of categories; first salvage lines alone count each patient once.
# Definitions and formulas stand in the [methods](../book/methods.md); every estimate of this page is in [results.json](../book/how_to_read.md#results-as-data) under the key `bispecific`.
# :::
