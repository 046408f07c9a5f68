"""Statistics on plain arrays: no cohort, no words, no figures.

`proportions` holds response rates and comparisons of categories, `survival` the curves and
log-rank tests, `cox` the regression models. The tests hold all of them to R.
"""
