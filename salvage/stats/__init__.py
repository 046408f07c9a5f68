"""Statistics on plain arrays: no cohort, no words, no figures.

`intervals`, `clustered`, `exact`, `shrinkage` and `pooling` hold proportions: their intervals,
events of patients who repeat, exact tests, rates that borrow strength, means of several studies.
`survival` holds curves and log-rank tests, `cox` regression. The tests hold all of them to R.
"""
