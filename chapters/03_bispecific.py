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
# How often do bispecific antibodies bring a response after CAR-T failure, at which line were they given, and how long does the benefit last?

# %% tags=["hide-input"]
from salvage import figures, show
from salvage.sentences import categories as sentences
from salvage.tables import categories as tables

CATEGORY = "bispecific"
cohort = show.cohort()
sentences.category_answer(cohort, CATEGORY)

# %% [markdown]
# ## Background
#
# A bispecific antibody binds CD20 on the lymphoma cell and CD3 on the T cell.
# It needs no manufacturing, so it can start within days.
# In the Spanish and British cohort of patients treated first after CAR-T failure, 51% responded and 36% reached a complete response {cite}`iacoboni2024`.
# In a German series of 92 patients the response rate was 43%, and it rose with the time between CAR-T and relapse {cite}`shumilov2025`.

# %% [markdown]
# ## Who received it, and when

# %% tags=["hide-input"]
tables.who_received(cohort, CATEGORY)

# %% tags=["hide-input"]
tables.regimens(cohort, CATEGORY)

# %% [markdown]
# ## Responses

# %% tags=["hide-input"]
figures.response_bars_by_line(cohort, CATEGORY)

# %% tags=["hide-input"]
tables.rates(cohort, CATEGORY)

# %% [markdown]
# ## The question of this chapter: does the line matter?

# %% tags=["hide-input"]
tables.by_line(cohort, CATEGORY)

# %% tags=["hide-input"]
sentences.first_against_later(cohort, CATEGORY)

# %% [markdown]
# ## How soon and for how long

# %% tags=["hide-input"]
tables.durations(cohort, CATEGORY)

# %% tags=["hide-input"]
figures.line_curves(cohort, CATEGORY)

# %% [markdown]
# ## What must not be concluded
#
# :::{admonition} Do not conclude
# :class: not-conclude
# - That bispecific antibodies are better or worse than another category: patients were not randomised, and each category holds few lines.
# - That an early line works better than a late one: patients who reach a late line were selected by surviving.
# - That a response rate over lines is the chance of one patient: some patients appear more than once.
# :::
