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
# # Prognostic factors
#
# Which features of a patient go with longer or shorter survival after CAR-T failure, and does a late relapse mean a better outlook?

# %% tags=["hide-input"]
from salvage.display import figures
from salvage.report import prognosis
from salvage.report.gate import book_cohort

cohort = book_cohort()
prognosis.answer(cohort)

# %% tags=["hide-input"]
prognosis.contrast_forest(cohort)

# %% [markdown]
# ## Why survival is counted from relapse
#
# The index study compared late with early relapse on survival from infusion {cite}`tian2026`.
# That comparison favours late relapse even if the time of relapse has no effect: a patient whose relapse was late has, by definition, lived until then.
# The first row of the figure shows it as a warning.
# This chapter therefore counts survival from relapse, where the time of relapse is already known and no later survival is guaranteed by it.
# [The chapter on time and bias](13_time_and_bias.md) shows by simulation how large the effect of guaranteed time can be.

# %% tags=["hide-input"]
figures.os_by_relapse_group(cohort, "relapse")

# %% tags=["hide-input"]
prognosis.origins(cohort)

# %% tags=["hide-input"]
prognosis.contrast_tests(cohort)

# %% tags=["hide-input"]
prognosis.months_to_relapse(cohort)

# %% [markdown]
# ## Each factor alone
#
# One policy holds for every P-value of this section.
# Each factor has one model and one two-sided P-value, unadjusted and adjusted for the number of tests.
# No factor was chosen or left out because of its P-value.
# A factor of the baseline was measured before the first CAR-T infusion, so it may no longer describe the patient at relapse.

# %% tags=["hide-input"]
prognosis.policy(cohort)

# %% tags=["hide-input"]
prognosis.univariable_forest(cohort)

# %% tags=["hide-input"]
prognosis.univariable(cohort)

# %% tags=["hide-input"]
prognosis.replaced(cohort)

# %% [markdown]
# ## Two covariates together
#
# A small cohort can carry a small model.
# About ten deaths for each covariate is the customary cautious rule {cite}`peduzzi1995`, which later work found can be relaxed {cite}`vittinghoff2007`; this report keeps to it.
# Months to relapse and a poor performance status are the covariates in every cohort: the report does not choose them by their results.
# The model uses Firth's penalty, which reduces the bias of small samples and gives finite estimates where an ordinary model does not {cite}`heinze2001`.

# %% tags=["hide-input"]
prognosis.model_table(cohort)

# %% tags=["hide-input"]
prognosis.model(cohort)

# %% [markdown]
# ## Are the hazards proportional?
#
# A hazard ratio is one number for the whole time.
# It describes the data only if the ratio is about the same early and late.

# %% tags=["hide-input"]
prognosis.proportional_table(cohort)

# %% tags=["hide-input"]
prognosis.proportional(cohort)

# %% [markdown]
# ## Does the answer depend on the cut-off?
#
# The abstract of the index study does not print the month that divides early from late relapse, and other cohorts use several.
# A result that holds at one cut-off only is a result of the cut-off.

# %% tags=["hide-input"]
prognosis.sweep_forest(cohort, "infusion")

# %% tags=["hide-input"]
prognosis.sweep_forest(cohort, "relapse")

# %% tags=["hide-input"]
prognosis.sweep_table(cohort)

# %% tags=["hide-input"]
prognosis.sweep(cohort)

# %% [markdown]
# ## What must not be concluded
#
# :::{admonition} Do not conclude
# :class: not-conclude
# - That any factor is an independent risk factor: a model of one factor adjusts for nothing, and a model of two adjusts for one.
# - That a late relapse causes or predicts longer survival because the ratio from infusion is low: that ratio holds guaranteed time.
# - That a factor with a large P-value has no effect: in a small cohort the interval says how large an effect remains possible.
# - That a factor with a small P-value would show the same in other patients: among many tests some are small by chance.
# - That these ratios can be used to choose a treatment: treatments were not compared here.
# :::

# %% [markdown]
# ## How the numbers were made
#
# :::{admonition} Statistical detail
# :class: dropdown
# - **Single factors.** Cox models with Efron ties and Wald intervals. A text such as the histology is compared as its most frequent value against all others. Patients without a value are left out of that model, and nothing is imputed; a response to the first CAR-T that was not evaluable is no value. The unit of the months to relapse is chosen within the middle half of the cohort, so that a ratio shows what differs between its patients.
# - **Smallest numbers.** A hazard ratio or a test that would rest on too few deaths or patients is not given; [](../book/methods.md) names the numbers.
# - **No maximum.** If a factor orders the deaths completely, the Cox likelihood has no maximum. Such a model is recognised, replaced by Firth's, and marked.
# - **Firth's model.** Penalised partial likelihood, Breslow ties, profile intervals and penalised likelihood-ratio tests {cite}`heinze2001`, by the firthmodels package.
# - **Four tests of one contrast.** The Wald, likelihood-ratio and score tests of the Cox model and the log-rank test ask the same question. The index study does not name its own; its figures fit a Wald test.
# - **Several tests.** Holm's step-down method over all P-values of the table.
# - **Proportional hazards.** The score test of Grambsch and Therneau on the Kaplan-Meier time scale, with the global test.
# - **Cut-off.** A relapse exactly at the cut-off is early; a later one is late.
# - **Checked against.** R's `survival` for Cox models and their tests, and an answer of R's `coxphf` for Firth's model; both are stored with the tests.
# :::
