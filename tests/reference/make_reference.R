# Writes the answers of R that the tests of salvage/stats compare with. Run it in this folder:
#
#     Rscript make_reference.R
#
# Needs R with survival, cmprsk, survey and jsonlite (Debian: r-cran-survival and so on).
# Awkward cohorts are drawn with fixed seeds and stored with their answers, so that the tests
# never depend on a random generator.

suppressPackageStartupMessages({
  library(survival)
  library(cmprsk)
  library(survey)
  library(jsonlite)
})

source("common.R")

exact_everywhere <- function(answers) {
  if (is.list(answers)) lapply(answers, exact_everywhere)
  else if (is.numeric(answers)) exact(answers)
  else answers
}

write_answers <- function(answers, name) {
  text <- toJSON(exact_everywhere(answers), auto_unbox = TRUE, null = "null",
                 json_verbatim = TRUE, pretty = TRUE)
  writeLines(text, paste0(name, ".json"))
}

write_data <- function(frame, name) {
  for (column in names(frame)) {
    if (is.double(frame[[column]])) {
      frame[[column]] <- ifelse(is.na(frame[[column]]), NA, sprintf("%.17g", frame[[column]]))
    }
  }
  write.csv(frame, paste0(name, ".csv"), row.names = FALSE, quote = FALSE, na = "")
}

# As vectors, so that jsonlite keeps a list also for one value.
many <- function(x) I(unname(as.vector(x)))

## Data that R publishes ---------------------------------------------------------------------

write_data(lung, "lung")
write_data(heart, "heart")
write_data(pbc, "pbc")
write_data(ovarian, "ovarian")
write_data(bladder1, "bladder1")

## Curves ------------------------------------------------------------------------------------

surv <- function(d) if (is.null(d$entry)) Surv(d$time, d$event) else Surv(d$entry, d$time, d$event)

curve_answers <- function(d, ticks, tau) {
  d$y <- suppressWarnings(surv(d))
  fit <- survfit(d$y ~ 1, conf.type = "log-log")
  at <- summary(fit, times = ticks, extend = TRUE)
  # The table of a summary extends the curve to time 0 before it reads the median.
  table <- survival:::survmean(fit, rmean = tau)$matrix
  answers <- list(
    time = many(fit$time), n_risk = many(fit$n.risk), n_event = many(fit$n.event),
    n_censor = many(fit$n.censor), survival = many(fit$surv),
    low = many(fit$lower), high = many(fit$upper),
    median = many(table[c("median", "0.95LCL", "0.95UCL")]),
    ticks = many(ticks), at = many(at$surv), at_low = many(at$lower), at_high = many(at$upper),
    at_risk = many(at$n.risk), cumulative_events = many(cumsum(at$n.event)),
    cumulative_censored = many(cumsum(at$n.censor)),
    tau = tau, rmst = unname(table["rmean"]), rmst_se = unname(table["se(rmean)"])
  )
  if (is.null(d$entry)) {
    reverse <- survfit(Surv(d$time, 1 - d$event) ~ 1, conf.type = "log-log")
    answers$reverse_median <-
      many(survival:::survmean(reverse, rmean = "none")$matrix[c("median", "0.95LCL", "0.95UCL")])
  }
  answers
}

cohort <- function(time, event, entry = NULL) {
  d <- list(time = I(time), event = I(event))
  if (!is.null(entry)) d$entry <- I(entry)
  d
}

set.seed(29)
half_months <- cohort(round(2 * rexp(29, 1 / 6)) / 2, rbinom(29, 1, 0.85))
set.seed(30)
heavy_ties <- cohort(sample(0:4, 40, TRUE), rbinom(40, 1, 0.6))
set.seed(31)
no_ties <- cohort(round(rexp(60, 1 / 9), 3), rbinom(60, 1, 0.5))
set.seed(32)
late_entry <- local({
  entry <- round(rexp(45, 1 / 3), 1)
  cohort(round(entry + rexp(45, 1 / 5), 1), rbinom(45, 1, 0.7), entry)
})
set.seed(33)
# Early on, everybody at risk dies: the curve is 0 although others enter later.
early_zero <- cohort(c(2, 5, 6, 7, 9), c(1, 1, 0, 1, 1), c(0, 3, 3, 4, 4))

curves <- list(
  one_to_four = cohort(c(1, 2, 3, 4), c(1, 1, 1, 1)),
  half_to_the_end = cohort(c(1, 2, 3, 4), c(1, 1, 0, 0)),
  half_then_below = cohort(c(1, 2, 3, 4, 5, 6), c(1, 1, 1, 0, 1, 0)),
  reaches_zero = cohort(c(1, 2, 2, 3, 5, 8, 8), c(1, 1, 0, 1, 0, 1, 1)),
  one_dead = cohort(3, 1),
  one_censored = cohort(3, 0),
  nobody_dies = cohort(c(1, 2, 2, 7), c(0, 0, 0, 0)),
  all_at_once = cohort(c(4, 4, 4, 4, 4), c(1, 1, 1, 1, 1)),
  all_at_zero = cohort(c(0, 0, 0), c(1, 1, 1)),
  zero_times = cohort(c(0, 0, 0, 1, 1, 2, 5, 5), c(1, 1, 0, 0, 1, 1, 0, 1)),
  censored_first = cohort(c(1, 2, 3, 4, 5), c(0, 1, 0, 1, 0)),
  rounding = cohort(c(0.1 + 0.2, 0.3, 0.7 + 0.1, 0.8, 12.3 - 4.1, 8.2), c(1, 1, 1, 0, 1, 0)),
  half_months = half_months, heavy_ties = heavy_ties, no_ties = no_ties,
  late_entry = late_entry, early_zero = early_zero
)
curve_reference <- lapply(curves, function(d) {
  ticks <- c(0, 0.5, 1, 2, 3.25, 5, 6, 12, 18)
  list(data = d, answers = curve_answers(d, ticks, 6))
})
complete <- lung[complete.cases(lung[, c("age", "sex", "ph.ecog")]), ]
curve_reference$lung <- list(
  data = NULL,
  answers = curve_answers(list(time = complete$time, event = complete$status - 1), c(0, 180, 365, 500, 2000), 365)
)
write_answers(curve_reference, "curves")

logrank_answers <- function(time, event, group) {
  found <- survdiff(Surv(time, event) ~ group)
  df <- sum(found$exp > 0) - 1
  list(chi2 = found$chisq, df = df, p = pchisq(found$chisq, df, lower.tail = FALSE))
}
set.seed(34)
three <- sample(c("a", "b", "c"), 40, TRUE)
two <- rep(c("x", "y"), length.out = 29)
write_answers(list(
  lung = list(answers = logrank_answers(complete$time, complete$status - 1, complete$sex)),
  heavy_ties = list(data = c(heavy_ties, list(group = three)),
                    answers = logrank_answers(heavy_ties$time, heavy_ties$event, three)),
  half_months = list(data = c(half_months, list(group = two)),
                     answers = logrank_answers(half_months$time, half_months$event, two)),
  gone_before = list(data = list(time = I(1:5), event = I(c(0, 1, 1, 0, 1)), group = I(c("a", "b", "c", "c", "b"))),
                     answers = logrank_answers(1:5, c(0, 1, 1, 0, 1), c("a", "b", "c", "c", "b")))
), "logrank")

## Cumulative incidence ----------------------------------------------------------------------

incidence_answers <- function(time, status, cause, ticks) {
  found <- timepoints(cuminc(time, status), ticks)
  fit <- summary(survfit(Surv(time, factor(status, 0:2)) ~ 1), times = ticks, extend = TRUE)
  state <- which(fit$states == cause)
  list(cause = cause, ticks = many(ticks), estimate = many(fit$pstate[, state]),
       se = many(fit$std.err[, state]), cmprsk = many(found$est[paste("1", cause), ]))
}
trial <- pbc[1:312, ]
set.seed(35)
rivals <- list(time = I(round(2 * rexp(50, 1 / 5)) / 2), status = I(sample(0:2, 50, TRUE)))
set.seed(36)
to_the_end <- list(time = I(c(1, 1, 2, 2, 3, 3, 4, 4)), status = I(c(1, 2, 1, 1, 2, 2, 1, 2)))
write_answers(list(
  pbc = list(answers = incidence_answers(trial$time, trial$status, 2, c(1000, 2000, 3000))),
  rivals_1 = list(data = rivals, answers = incidence_answers(rivals$time, rivals$status, 1, c(1, 3, 6, 9))),
  rivals_2 = list(data = rivals, answers = incidence_answers(rivals$time, rivals$status, 2, c(1, 3, 6, 9))),
  to_the_end_1 = list(data = to_the_end, answers = incidence_answers(to_the_end$time, to_the_end$status, 1, 1:4)),
  to_the_end_2 = list(data = to_the_end, answers = incidence_answers(to_the_end$time, to_the_end$status, 2, 1:4))
), "incidence")

## Cox models --------------------------------------------------------------------------------

cox_answers <- function(y, x) {
  frame <- data.frame(x)
  formula <- as.formula(paste("y ~", paste(names(frame), collapse = " + ")))
  frame$y <- y
  fit <- coxph(formula, frame, ties = "efron", control = control)
  s <- summary(fit)
  z <- cox.zph(fit, transform = "km", terms = FALSE)$table
  list(
    coef = many(fit$coefficients), se = many(sqrt(diag(fit$var))),
    low = many(s$conf.int[, "lower .95"]), high = many(s$conf.int[, "upper .95"]),
    p = many(s$coefficients[, "Pr(>|z|)"]),
    loglik = fit$loglik[2], lr = unname(s$logtest["test"]), lr_p = unname(s$logtest["pvalue"]),
    # The summary rounds the Wald statistic.
    wald = fit$wald.test, score = fit$score, n = fit$n, events = fit$nevent,
    zph_chi2 = many(z[, "chisq"]), zph_df = many(z[, "df"]), zph_p = many(z[, "p"])
  )
}

set.seed(37)
small <- local({
  n <- 29
  x1 <- rbinom(n, 1, 0.45); x2 <- round(rnorm(n, 60, 9), 1)
  time <- round(2 * rexp(n, exp(-0.6 * x1) / 7)) / 2
  list(time = I(time), event = I(rbinom(n, 1, 0.9)), x1 = I(x1), x2 = I(x2))
})
set.seed(38)
truncated <- local({
  n <- 60
  entry <- round(rexp(n, 1 / 3), 1); x1 <- rbinom(n, 1, 0.5); x2 <- round(rnorm(n), 2)
  length <- round(rexp(n, exp(0.5 * x1) / 5), 1)   # some are 0: never at risk
  list(entry = I(entry), time = I(round(entry + length, 1)), event = I(rbinom(n, 1, 0.8)),
       x1 = I(x1), x2 = I(x2))
})
by_hand <- function(d) cbind(x1 = d$x1, x2 = d$x2)
truncated_y <- suppressWarnings(Surv(truncated$entry, truncated$time, truncated$event))
keep <- !is.na(truncated_y)
write_answers(list(
  lung = list(answers = cox_answers(Surv(complete$time, complete$status - 1),
    complete[, c("age", "sex", "ph.ecog")])),
  lung_sex = list(answers = cox_answers(Surv(complete$time, complete$status - 1), complete[, "sex", drop = FALSE])),
  heart = list(answers = cox_answers(Surv(heart$start, heart$stop, heart$event),
    data.frame(age = heart$age, year = heart$year, surgery = heart$surgery,
               transplant = as.numeric(heart$transplant) - 1))),
  small = list(data = small, answers = cox_answers(Surv(small$time, small$event), by_hand(small))),
  truncated = list(data = truncated, answers = cox_answers(truncated_y[keep], by_hand(truncated)[keep, ]))
), "cox")

## Proportions -------------------------------------------------------------------------------

pairs <- list(c(10, 15), c(24, 58), c(7, 58), c(3, 10), c(3, 5), c(0, 7), c(7, 7), c(1, 1), c(0, 1), c(1, 29))
write_answers(lapply(pairs, function(p) list(
  events = p[1], n = p[2],
  exact = many(binom.test(p[1], p[2])$conf.int),
  wilson = many(suppressWarnings(prop.test(p[1], p[2], correct = FALSE))$conf.int),
  poisson = many(poisson.test(p[1], p[2])$conf.int)
)), "intervals")

# Lines of 29 patients in categories; drawn so that patients respond more or less often.
lines <- function(seed, patients, categories, share) {
  set.seed(seed)
  id <- c(seq_len(patients), sample(patients, patients, TRUE))
  tendency <- rbeta(patients, share * 2, (1 - share) * 2)
  list(patient = I(id), category = I(sample(categories, 2 * patients, TRUE)), y = I(rbinom(2 * patients, 1, tendency[id])))
}
draws <- list(
  six = lines(41, 29, letters[1:6], 0.4), two = lines(42, 29, c("a", "b"), 0.5),
  rare = lines(43, 29, letters[1:6], 0.12), large = lines(44, 200, letters[1:4], 0.3)
)

rao_scott <- function(d) {
  frame <- data.frame(patient = as.vector(d$patient), category = as.vector(d$category), y = as.vector(d$y))
  found <- svychisq(~ y + category, svydesign(~patient, weights = ~1, data = frame), statistic = "F")
  list(f = unname(found$statistic), df1 = unname(found$parameter["ndf"]),
       df2 = unname(found$parameter["ddf"]), p = unname(found$p.value))
}

# Korn and Graubard's effective number, as survey's svyciprop(method = "beta") has it, for one
# category within the design of the whole study; the number of patients where it is not defined.
effective <- function(d, chosen) {
  frame <- data.frame(patient = as.vector(d$patient), category = as.vector(d$category), y = as.vector(d$y))
  whole <- svydesign(~patient, weights = ~1, data = frame)
  part <- subset(whole, category == chosen)
  m <- svymean(~y, part)
  n <- sum(frame$category == chosen)
  k <- length(unique(frame$patient[frame$category == chosen]))
  v <- as.numeric(vcov(m)); p <- as.numeric(coef(m))
  n_eff <- if (k == 1 || p %in% 0:1) k else if (v < 1e-20) n else min(n, p * (1 - p) / v * (qt(0.025, n - 1) / qt(0.025, k - 1))^2)
  list(category = chosen, n = n, patients = k, n_eff = n_eff)
}

write_answers(lapply(draws, function(d) {
  answers <- list(rao_scott = rao_scott(d),
                  effective = lapply(sort(unique(as.vector(d$category))), function(c) effective(d, c)))
  list(data = d, answers = answers)
}), "categories")

squares <- list(c(3, 3, 0, 3), c(1, 12, 1, 13), c(3, 5, 0, 5), c(8, 14, 1, 15), c(5, 12, 7, 46), c(0, 6, 4, 9), c(10, 13, 3, 16))
write_answers(lapply(squares, function(q) {
  found <- fisher.test(matrix(c(q[1], q[2] - q[1], q[3], q[4] - q[3]), 2, byrow = TRUE))
  c(list(table = many(q), p = found$p.value), conditional(q[1], q[2], q[3], q[4]))
}), "fisher")

tables <- list(
  list(events = c(5, 4, 3, 6, 1, 5), n = c(12, 10, 8, 9, 6, 13)),
  list(events = c(1, 3, 1, 1, 0, 1), n = c(12, 10, 8, 9, 6, 13)),
  list(events = c(3, 0), n = c(5, 5)),
  list(events = c(2, 0), n = c(7, 33)),
  list(events = c(0, 0, 9), n = c(4, 5, 9)),
  list(events = c(2, 2, 2), n = c(4, 4, 4))
)
write_answers(lapply(tables, function(t) {
  list(events = many(t$events), n = many(t$n),
       p = fisher.test(cbind(t$events, t$n - t$events), workspace = 2e7)$p.value)
}), "exact")

write_answers(list(
  R = R.version.string,
  packages = as.list(vapply(c("survival", "cmprsk", "survey"),
                            function(p) as.character(packageVersion(p)), ""))
), "versions")
