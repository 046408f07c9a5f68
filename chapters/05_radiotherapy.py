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
# # Radiotherapy
#
# What is radiotherapy used for after CAR-T failure, and what follows it?

# %% tags=["hide-input"]
from salvage.display import figures
from salvage.report import categories, context
from salvage.report.gate import book_cohort

CATEGORY = "radiotherapy"
cohort = book_cohort()
categories.answer(cohort, CATEGORY)

# %% tags=["hide-input"]
figures.response_bars_by_line(cohort, CATEGORY)

# %% [markdown]
# ## Background
#
# Radiotherapy controls disease that can be covered by a field.
# It is given with different intents: to bridge to another therapy, to consolidate a response, to treat all known disease, or to palliate.
# A series of patients irradiated after CAR-T reported high local control, and much longer survival after comprehensive than after focal radiotherapy {cite}`saifi2023`; patients with disease in one field had less disease to begin with.
# In the French registry, a part of the patients treated with radiotherapy after late failure were free of progression a year later {cite}`descart_late2025`.

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
# ## The question of this chapter: bridging or consolidation?
#
# A response to bridging radiotherapy is a step to the next line, and a response to consolidation may belong to the line before it.
# Rates over all intents mix these meanings.

# %% tags=["hide-input"]
categories.by_intent(cohort)

# %% tags=["hide-input"]
categories.intents(cohort)

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
# - That radiotherapy controls lymphoma outside its field. The response recorded may be that of the irradiated site.
# - That a comprehensive field prolongs survival. Patients with limited disease receive it.
# - That radiotherapy as a line competes with drugs. It is often given before or after one of them.
# :::

# %% [markdown]
# ## How the numbers were made
#
# :::{admonition} Statistical detail
# :class: dropdown
# Each rate has two intervals. The exact interval treats lines as independent. The Wilson interval on the effective number of lines allows for patients who have several lines.
# Times are Kaplan-Meier medians over lines. A patient counts once for each line, so no test compares the curves of categories; first salvage lines alone count each patient once.
# Definitions and formulas stand in the [methods](../book/methods.md); every estimate of this page is in [results.json](../book/how_to_read.md#results-as-data) under the key `radiotherapy`.
# :::
