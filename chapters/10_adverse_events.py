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
# # Adverse events
#
# Which adverse events followed salvage therapy, how severe were they, and how many patients had them?

# %% tags=["hide-input"]
from salvage.display import figures
from salvage.report import safety
from salvage.report.gate import book_cohort

cohort = book_cohort()
safety.answer(cohort)

# %% tags=["hide-input"]
figures.ae_butterfly(cohort)

# %% [markdown]
# ## What the abstract says
#
# The published abstract names fever as the most common adverse event of salvage therapy {cite}`tian2026`.
# It prints no count and no grade.

# %% [markdown]
# ## Patients and events
#
# The main count is of patients, each at the highest grade.
# An event without a grade may have been severe: it is counted on its own, and whoever had such an event and no severe one is no part of the denominator of severe events.
# Events are shown beside it, because one patient can have the same event several times.

# %% tags=["hide-input"]
safety.overall(cohort)

# %% tags=["hide-input"]
safety.by_term(cohort)

# %% tags=["hide-input"]
safety.grading(cohort)

# %% [markdown]
# ## Scales and versions
#
# The usual scale is CTCAE {cite}`ctcae5`; cytokine release syndrome and neurotoxicity have a scale of their own, by the consensus of ASTCT {cite}`lee2019`.
# The versions of CTCAE set different limits, above all for blood counts.
# The tables of terms therefore keep versions apart, and a row that counts over several scales says so.

# %% tags=["hide-input"]
safety.scales(cohort)

# %% tags=["hide-input"]
figures.ae_heatmap(cohort)

# %% tags=["hide-input"]
safety.grades(cohort)

# %% [markdown]
# ## Fever, cytokine release and neurotoxicity
#
# Fever is part of every cytokine release syndrome that is not masked by treatment, but a fever alone is not one.
# The two are recorded as separate events, and this chapter does not turn one into the other.
# The book also knows the names of what follows CAR-T later: prolonged cytopenia {cite}`rejeski2023`, the syndrome like haemophagocytic lymphohistiocytosis, IEC-HS {cite}`hines2023`, and hypogammaglobulinaemia.

# %% tags=["hide-input"]
safety.fever_and_crs_table(cohort)

# %% tags=["hide-input"]
safety.fever_and_crs(cohort)

# %% [markdown]
# ## By category
#
# An event belongs to the category of the line to which it is recorded.
# Rates count only events that began while that line was given or soon after it, over exactly that time.

# %% tags=["hide-input"]
figures.ae_by_category(cohort)

# %% tags=["hide-input"]
safety.by_category(cohort)

# %% tags=["hide-input"]
safety.exposure(cohort)

# %% tags=["hide-input"]
safety.counting(cohort)

# %% [markdown]
# ## What must not be concluded
#
# :::{admonition} Do not conclude
# :class: not-conclude
# - That one category is safer than another: patients were not assigned at random, and each category has few lines.
# - That an event was caused by the treatment: it began during a line, and the lymphoma, earlier treatment or an infection can cause it too.
# - That an event that is not recorded did not occur. In a retrospective study mild events are often not written down.
# - That a fever was a cytokine release syndrome, or the reverse.
# :::

# %% [markdown]
# ## How the numbers were made
#
# :::{admonition} Statistical detail
# :class: dropdown
# - **Incidence.** Patients with at least one event of a term over all patients with salvage therapy, at the highest grade of the patient, with the exact interval of Clopper and Pearson. For severe events, patients of whom a grade is missing that could be severe are left out of the denominator.
# - **Terms.** Letter case, a grade inside the term and synonyms do not matter: `data/adverse_event_terms.yaml` lists the names of each event with their sources, the preferred terms of MedDRA, the consensus papers and the Chinese terms. A term that names two events, or says more than a name, stands as the hospital writes it.
# - **Scales.** Every event carries its scale and version. A term that was graded by two versions has two rows.
# - **Rates.** Events with an onset inside the exposure of their line over the patient-years of that exposure, with the exact Poisson interval of Garwood. The table says when exposure ends. It is cut at the next line, so no time counts twice.
# - **Tests.** None. No difference in adverse events was prespecified.
# :::
