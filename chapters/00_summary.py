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
# # Summary
#
# When CAR-T therapy fails in large B-cell lymphoma, six kinds of salvage therapy are at hand and little time is left.
# What does the experience of one retrospective cohort say about them, and how far can it be trusted?

# %% tags=["hide-input"]
from salvage.display import figures
from salvage.report import summary
from salvage.report.gate import book_cohort

cohort = book_cohort()
summary.cover(cohort.study)

# %% tags=["hide-input"]
summary.answer(cohort)

# %% tags=["hide-input"]
figures.overview(cohort)

# %% [markdown]
# ## The cohort in six numbers

# %% tags=["hide-input"]
summary.six_numbers(cohort)

# %% [markdown]
# ## The evidence at a glance

# %% tags=["hide-input"]
summary.evidence(cohort)

# %% [markdown]
# ## The published study, figure by figure
#
# Only the abstract of the index study is public {cite}`tian2026`.
# Each figure that it prints stands here beside the same figure computed from the cohort of this book.

# %% tags=["hide-input"]
summary.reproduction(cohort)

# %% [markdown]
# Whether the published figures fit one another, and what they leave open, is the subject of the [audit](14_audit.md).
# Why the contrast of late and early relapse is biased by time is shown in [time and bias](13_time_and_bias.md).

# %% [markdown]
# ## What must not be concluded
#
# :::{admonition} Do not conclude
# :class: not-conclude
# - That one of the six options is the best. The design cannot show it, whatever the figures.
# - That a patient who relapses late does better because of it. Survival is counted from infusion, and nobody can relapse late without living until then.
# - That a figure marked *assumed* was observed in anyone. See [how to read this report](../book/how_to_read.md).
# :::

# %% [markdown]
# ## Take it with you
#
# - This book on paper: <a href="../book.pdf">book.pdf</a> to read and print, <a href="../book.docx">book.docx</a> to edit in Word.
# - All estimates of this book as data: <a href="../results.json">results.json</a>.

# %% [markdown]
# ## How to cite
#
# Cite the index study for its figures, and this report for the analysis and for everything marked *implied*, *assumed* or *observed*.

# %% tags=["hide-input"]
summary.citations(cohort.study)

# %% [markdown]
# ## The same book for another cohort
#
# 1. `python -m salvage template cohort.xlsx` writes a workbook to fill in.
# 2. `python -m salvage check cohort.xlsx` lists every problem with its sheet, row and column.
# 3. `make book COHORT=cohort.xlsx` builds this book for it.
#
# The data stay on the machine, and no code is changed. [Bringing your own cohort](../book/import.md) has the details.
