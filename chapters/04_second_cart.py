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
# # Second CAR-T infusion
#
# What does a second CAR-T infusion achieve, and does it help to aim at another target?

# %% tags=["hide-input"]
from salvage.display import figures
from salvage.report import categories, context
from salvage.report.gate import book_cohort

CATEGORY = "second_cart"
cohort = book_cohort()
categories.answer(cohort, CATEGORY)

# %% tags=["hide-input"]
figures.response_bars_by_line(cohort, CATEGORY)

# %% [markdown]
# ## Background
#
# A second CAR-T infusion needs time for manufacture, a patient fit for it, and a target that the lymphoma still carries.
# Loss of CD19 is one way of escape from the first infusion, which is the reason to switch the target.
# A comparison reported responses to a second infusion more often than to other therapies, yet overall survival was better with the others {cite}`wuhan_cti2`.
# A meta-analysis of CAR-T cells against CD22, nearly all given after CD19 CAR-T, found complete responses in more than half of the patients with lymphoma {cite}`cd22_meta`.
# Those who receive a second product have lived through its manufacture: they are selected.

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
# ## The question of this chapter: switched against same target
#
# The abstract reports a complete response rate for infusions with a switched target and suggests that switching may help.
# Two groups can be compared exactly, and the exact comparison says how little small ones prove.

# %% tags=["hide-input"]
categories.by_target(cohort)

# %% tags=["hide-input"]
categories.targets_compared(cohort)

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
# - That switching the target raises the rate of complete response. Nobody was randomised to a target, and small groups prove little.
# - That a second infusion suits every patient. Only those who could wait for it received it.
# - That the highest rate of complete response among the six categories marks the best category. It is a maximum over six small groups, and a maximum is biased upwards.
# :::

# %% [markdown]
# ## How the numbers were made
#
# :::{admonition} Statistical detail
# :class: dropdown
# Each rate has two intervals. The exact interval treats lines as independent. The Wilson interval on the effective number of lines allows for patients who have several lines.
# Times are Kaplan-Meier medians over lines. A patient counts once for each line, so no test compares the curves of categories; first salvage lines alone count each patient once.
# Definitions and formulas stand in the [methods](../book/methods.md); every estimate of this page is in [results.json](../book/how_to_read.md#results-as-data) under the key `second_cart`.
# :::
