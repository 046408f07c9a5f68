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
# # In the context of other cohorts
#
# How does this cohort compare with what others have printed, and which of their figures can be set beside it at all?

# %% tags=["hide-input"]
from salvage.report import context
from salvage.report.gate import book_cohort

cohort = book_cohort()
context.answer(cohort)

# %% [markdown]
# ## Three rules of comparison
#
# - **Patients or events.** Other cohorts count patients. The index study counts events over all lines. This chapter shows the rates of this cohort at first salvage line, per patient, first, and the event rates second.
# - **Where the clock starts.** The index study counts survival from infusion, others from failure or from treatment. Survival from different origins never shares an axis here.
# - **What late means.** Each cohort has its own cut-off between early and late relapse, so a late group here is another one there.

# %% tags=["hide-input"]
context.units_of_others()

# %% tags=["hide-input"]
context.own_first_lines(cohort)

# %% tags=["hide-input"]
context.first_lines(cohort)

# %% [markdown]
# ## Other cohorts after CAR-T failure
#
# Registries and other cohorts describe survival after failure {cite}`dibiasi2022,descart_late2025,iacoboni2024,zurko2023,alarcontomas2023,spiegel2021`.
# A third-line analysis of a randomised trial and a transplant cohort are selected in other ways {cite}`zuma7_3l,allohct2022`.
# The median of the French registry lies above those of both its groups; uneven censoring can do that, so the three stand in the table and in no figure.
# Each printed figure is [audited](../book/audit.md) like those of the index study.

# %% tags=["hide-input"]
context.studies()

# %% tags=["hide-input"]
context.printed_figures()

# %% tags=["hide-input"]
context.survival_forest(cohort)

# %% [markdown]
# A prognostic index for patients who progress after CAR-T has been published {cite}`pcpi2024`.
# Its abstract prints its items and the medians of its risk groups, but not its coefficients, so no survival is predicted here.

# %% [markdown]
# ## Bispecific antibodies

# %% tags=["hide-input"]
context.rate_forest(cohort, "bispecific")

# %% [markdown]
# ## Second CAR-T infusion

# %% tags=["hide-input"]
context.rate_forest(cohort, "second_cart")

# %% tags=["hide-input"]
context.rate_forest(cohort, "second_cart", "cr")

# %% [markdown]
# ## Radiotherapy

# %% tags=["hide-input"]
context.rate_forest(cohort, "radiotherapy")

# %% [markdown]
# ## Polatuzumab-based regimens

# %% tags=["hide-input"]
context.rate_forest(cohort, "polatuzumab")

# %% [markdown]
# ## Checkpoint inhibitors

# %% tags=["hide-input"]
context.rate_forest(cohort, "checkpoint")

# %% [markdown]
# ## Other targeted or chemotherapy drugs

# %% tags=["hide-input"]
context.rate_forest(cohort, "other")

# %% [markdown]
# ## Can the rates be pooled?
#
# A pooled rate needs counts of the same thing in the same kind of patients.
# Random effects are used only where at least three such counts are known, with the variance between studies and the interval in which a further study would be expected.

# %% tags=["hide-input"]
context.pooling_table()

# %% tags=["hide-input"]
context.pooling()

# %% [markdown]
# ## What must not be concluded
#
# :::{admonition} Do not conclude
# :class: not-conclude
# - That this cohort does better or worse than another. Patients, lines, origins and cut-offs differ.
# - That agreement with other cohorts confirms a rate of this one. Wide intervals agree with almost anything.
# - That a rate over events may be set beside a rate over patients.
# - That a synthetic cohort is evidence. Where this book reads the one that comes with it, it is drawn beside the others to show where the published figures lie, and how uncertain they are.
# :::

# %% [markdown]
# ## How the numbers were made
#
# :::{admonition} Statistical detail
# :class: dropdown
# - **Sources.** Every figure of another study stands in `data/comparators.yaml` with where it was read. None was added from memory.
# - **Time to an event.** The first salvage line counts each patient once, from its start: progression-free survival to progression or death, time to next treatment to the next line or death. A study that does not say where its clock starts may have another.
# - **Counts.** A count is used if it is printed, or if exactly one count of the printed denominator prints the rate; an interval is then exact.
# - **Pooling.** A binomial model with normal log odds between studies, by maximum likelihood, with intervals from the t distribution.
# :::
