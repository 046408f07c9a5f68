# Computes the book's estimates of three cohorts once more, from their files alone and in R's own
# way, and writes them to answers_<cohort>.json. Run it in this folder:
#
#     Rscript recompute.R
#
# It is written from the definitions of the book. Where these are silent (two lines that progress in
# one month, a progression before a response), it takes the package's choice: there it checks the
# arithmetic and not the choice. What R does not compute is listed in tests/reference/recomputed.py with the reason.

suppressPackageStartupMessages({
  library(survival)
  library(survey)
  library(jsonlite)
})
source("common.R")

folders <- c(shipped = "../../data", heart = "cohorts/heart", bladder = "cohorts/bladder")
scripts <- c("common.R", "recompute.R")
files <- c("adverse_events.csv", "patients.csv", "salvage.csv", "study.yaml")

categories <- c("bispecific", "second_cart", "radiotherapy", "polatuzumab", "checkpoint", "other")
responses <- list(orr = c("CR", "PR"), cr = "CR", pr = "PR")
z <- qnorm(0.975)

# Least numbers below which nothing is estimated: of a median, of one with delayed entry, of a test
# or hazard ratio, of two covariates, of the window of restricted means.
median_subjects <- 5; median_events <- 3; delayed_at_risk <- 10
test_events <- 10; test_group <- 5; events_of_two <- 20
risk_share <- 0.1; risk_least <- 5
# Greatest share of lines whose progression has no month, and of deaths without a cause.
most_undated <- 1 / 5

## What is answered --------------------------------------------------------------------------

answers <- list()
put <- function(id, value = NA, low = NA, high = NA, n = NA, events = NA, p = NA) {
  stopifnot(is.null(answers[[id]]))
  numbers <- c(value, low, high, n, events, p)
  answers[[id]] <<- exact(I(as.numeric(numbers)))
}

## Survival ----------------------------------------------------------------------------------

# Subtraction leaves 3.0000000000000004 where 3 is meant, which is not yet dead at 3.
months <- function(from, to) round(to - from, 9)

curve <- function(time, event, entry = NULL) {
  y <- if (is.null(entry)) Surv(time, event) else Surv(entry, time, event)
  survfit(y ~ 1, conf.type = "log-log")
}

put_median <- function(id, time, event, patient = seq_along(time), known = TRUE) {
  n <- length(time); events <- sum(event); subjects <- length(unique(patient))
  if (subjects < median_subjects || events < median_events || !known) return(put(id, n = n, events = events))
  # The table of a summary extends the curve to time 0 before it reads the median.
  m <- survival:::survmean(curve(time, event), rmean = "none")$matrix
  put(id, m["median"], m["0.95LCL"], m["0.95UCL"], n, events)
}

# With delayed entry one early death among few at risk moves the curve far.
put_delayed_median <- function(id, entry, time, event) {
  fit <- curve(time, event, entry)
  m <- survival:::survmean(fit, rmean = "none")$matrix
  before <- which(fit$n.event > 0 & fit$time <= m["median"])
  few <- length(time) < median_subjects || sum(event) < median_events
  if (few || (length(before) && min(fit$n.risk[before]) < delayed_at_risk))
    return(put(id, n = length(time), events = sum(event)))
  put(id, m["median"], m["0.95LCL"], m["0.95UCL"], length(time), sum(event))
}

put_at <- function(id, time, event, months) {
  fit <- if (length(time)) curve(time, event)
  for (month in months) {
    s <- low <- high <- NA
    if (!is.null(fit)) {
      at <- summary(fit, times = month, extend = TRUE)
      if (month <= max(time) || at$surv == 0) s <- at$surv
      if (!is.na(s) && s < 1) { low <- at$lower; high <- at$upper }
    }
    put(paste0(id, ".at.", month), s, low, high, length(time), sum(event))
  }
}

put_rmst <- function(id, time, event, month) {
  n <- length(time); events <- sum(event)
  if (is.na(month)) return(put(id, n = n, events = events))
  area <- survival:::survmean(curve(time, event), rmean = month)$matrix
  value <- unname(area["rmean"]); se <- unname(area["se(rmean)"])
  if (se == 0) return(put(id, value, n = n, events = events))
  put(id, value, value - z * se, value + z * se, n, events)
}

# The last whole month at which enough of every origin are at risk.
horizon <- function(times) {
  last <- sapply(times, function(time) {
    least <- max(risk_least, risk_share * length(time))
    whole <- 0:ceiling(max(time))
    max(c(0, whole[sapply(whole, function(month) sum(time >= month)) >= least]))
  })
  if (min(last) > 0) min(last) else NA
}

## Proportions -------------------------------------------------------------------------------

put_share <- function(id, events, n) {
  if (is.na(events) || n == 0) return(put(id, n = n, events = events))
  put(id, events / n, binom.test(events, n)$conf.int[1], binom.test(events, n)$conf.int[2], n, events)
}

# Korn and Graubard's effective number as survey's svyciprop(method = "beta") has it, within the
# design of the whole study; a patient without a line is a cluster too.
effective <- function(y, patient, everyone) {
  n <- length(y); k <- length(unique(patient))
  # They do not show how alike the lines of one patient are: each patient counts as one.
  if (k == 1 || sum(y) %in% c(0, n)) return(k)
  others <- setdiff(everyone, patient)
  rows <- data.frame(y = c(y, rep(0, length(others))), patient = c(patient, others),
                     here = rep(c(TRUE, FALSE), c(n, length(others))))
  m <- svymean(~y, subset(svydesign(~patient, weights = ~1, data = rows), here))
  v <- as.numeric(vcov(m)); p <- as.numeric(coef(m))
  if (v < 1e-20) return(n)
  min(n, p * (1 - p) / v * (qt(0.025, n - 1) / qt(0.025, k - 1))^2)
}

put_wilson <- function(id, y, patient, everyone) {
  n <- length(y)
  if (n == 0) return(put(id, n = 0, events = 0))
  n_eff <- effective(y, patient, everyone)
  limits <- suppressWarnings(prop.test(mean(y) * n_eff, n_eff, correct = FALSE))$conf.int
  put(id, mean(y), limits[1], limits[2], n, sum(y))
}

## Cox models --------------------------------------------------------------------------------

enough <- function(event, x) {
  groups <- if (length(unique(x)) <= 2) min(sum(x == min(x)), sum(x == max(x))) else Inf
  length(unique(x)) > 1 && sum(event) >= test_events && groups >= test_group
}

# One covariate; a fit whose likelihood has no maximum gives way to Firth's.
put_hazard <- function(id, time, event, x, entry = NULL, n = sum(!is.na(x)), events = sum(event[!is.na(x)])) {
  force(n); force(events)
  known <- !is.na(x); time <- time[known]; event <- event[known]; x <- as.numeric(x[known])
  if (!length(x) || !enough(event, x)) return(put(id, n = n, events = events))
  y <- if (is.null(entry)) Surv(time, event) else Surv(entry[known], time, event)
  infinite <- FALSE
  fit <- withCallingHandlers(
    coxph(y ~ x, ties = "efron", control = control),
    warning = function(w) { infinite <<- grepl("infinite", w$message); invokeRestart("muffleWarning") }
  )
  if (infinite) return(put_firth(id, time, event, cbind(x)))
  s <- summary(fit)
  put(id, s$conf.int[1, "exp(coef)"], s$conf.int[1, "lower .95"], s$conf.int[1, "upper .95"],
      n, events, s$coefficients[1, "Pr(>|z|)"])
}

put_tests <- function(id, time, event, x) {
  n <- length(time); events <- sum(event)
  p <- rep(NA, 4)
  if (enough(event, x)) {
    fit <- coxph(Surv(time, event) ~ x, ties = "efron", control = control)
    s <- summary(fit)
    p <- c(pchisq(c(fit$wald.test, s$logtest["test"], fit$score), 1, lower.tail = FALSE),
           pchisq(survdiff(Surv(time, event) ~ x)$chisq, 1, lower.tail = FALSE))
  }
  names(p) <- c("wald", "lr", "score", "logrank")
  for (test in names(p)) put(paste0(id, ".", test, ".p"), p[test], n = n, events = events, p = p[test])
}

# Firth's penalised likelihood with Breslow's ties, its maximum by Newton's steps on the penalised
# score; limits where twice the profile lies 3.84 below it.
firth <- function(time, event, x) {
  y <- Surv(time, event)
  at <- function(b) coxph(y ~ x, ties = "breslow", init = b, control = coxph.control(iter.max = 0))
  penalty <- function(b) -0.5 * log(det(at(b)$var))
  loglik <- function(b) at(b)$loglik[1] + penalty(b)
  score <- function(b) {
    slope <- sapply(seq_along(b), function(j) {
      d <- function(h) { e <- replace(0 * b, j, h); (penalty(b + e) - penalty(b - e)) / (2 * h) }
      (4 * d(5e-4) - d(1e-3)) / 3
    })
    colSums(as.matrix(residuals(at(b), "score"))) + slope
  }
  maximum <- function(b, free) {
    for (step in 1:200) {
      move <- solve(solve(at(b)$var)[free, free, drop = FALSE], score(b)[free])
      b[free] <- b[free] + pmax(pmin(move, 1), -1)
      if (max(abs(move)) < 1e-11) break
    }
    b
  }
  k <- ncol(x); all <- seq_len(k)
  best <- maximum(rep(0, k), all); top <- loglik(best)
  profile <- function(j, value) {
    b <- replace(best, j, value)
    loglik(if (k > 1) maximum(b, setdiff(all, j)) else b)
  }
  t(sapply(all, function(j) {
    se <- sqrt(at(best)$var[j, j])
    gap <- function(value) 2 * (top - profile(j, value)) - qchisq(0.95, 1)
    limit <- function(side) uniroot(gap, best[j] + side * c(0.5, 6) * se, extendInt = "yes", tol = 1e-12)$root
    c(exp(best[j]), exp(limit(-1)), exp(limit(1)),
      pchisq(2 * (top - profile(j, 0)), 1, lower.tail = FALSE))
  }))
}

put_firth <- function(ids, time, event, x) {
  found <- firth(time, event, x)
  for (j in seq_along(ids))
    put(ids[j], found[j, 1], found[j, 2], found[j, 3], length(time), sum(event), found[j, 4])
}

## A cohort ----------------------------------------------------------------------------------

table_of <- function(folder, name) {
  read.csv(file.path(folder, paste0(name, ".csv")), na.strings = "", stringsAsFactors = FALSE,
           encoding = "UTF-8")
}

setting <- function(folder, key, default) {
  lines <- grep(paste0("^", key, ":"), readLines(file.path(folder, "study.yaml")), value = TRUE)
  if (length(lines)) as.numeric(sub(".*: *", "", lines)) else default
}

# The text that most patients have, the first of the alphabet where several tie.
most <- function(text) {
  sizes <- table(text)
  as.numeric(text == sort(names(sizes)[sizes == max(sizes)], method = "radix")[1])
}

# Months to relapse are counted in the largest of these units within their middle half.
relapse_unit <- function(p) max(c(1, (u <- c(1, 3, 6, 12))[u <= diff(quantile(p$relapse_month, c(0.25, 0.75)))]))

factors_of <- function(p, cut) list(
  late = p$relapse_month > cut, relapse_month = p$relapse_month / relapse_unit(p), age = p$age / 10,
  sex = p$sex == "M", histology = most(p$histology), coo = most(p$coo), stage = p$stage >= 3,
  ipi = p$ipi >= 3, ecog = p$ecog >= 2, ldh_elevated = p$ldh_elevated == 1,
  extranodal_sites = p$extranodal_sites >= 2, bulky = p$bulky == 1, prior_lines = p$prior_lines,
  refractory = p$refractory == 1, cart_target = most(p$cart_target),
  cart_product = most(p$cart_product),
  # Not evaluable is not known to be less than complete.
  cart_best_response = ifelse(p$cart_best_response == "NE", NA, p$cart_best_response == "CR")
)

counts <- function(p, lines, cut) {
  treated <- sum(p$patient_id %in% lines$patient_id)
  put("n.patients", nrow(p))
  put("n.treated", treated, n = nrow(p))
  put("n.untreated", nrow(p) - treated, n = nrow(p))
  put("n.events", nrow(lines), n = treated)
  put("deaths", sum(p$died), n = nrow(p))
  put("n.late", sum(p$relapse_month > cut), n = nrow(p))
}

overall <- function(p, lines) {
  n <- nrow(p)
  put("followup.observed.median", median(p$os_month), n = n)
  put_median("followup.reverse_km.median", p$os_month, 1 - p$died)
  put("os.range.min", min(p$os_month), n = n)
  put("os.range.max", max(p$os_month), n = n)
  first <- with(lines[lines$line == 1, ], start_month[match(p$patient_id, patient_id)])
  treated <- !is.na(first)
  put("os.guarantee.share", sum(first[treated]) / sum(p$os_month[treated]), n = sum(treated))
  times <- list(os = p$os_month, os.from_relapse = months(p$relapse_month, p$os_month),
                os.from_salvage = months(first, p$os_month)[treated])
  deaths <- list(p$died, p$died, p$died[treated])
  month <- horizon(times)
  for (i in seq_along(times)) {
    id <- names(times)[i]
    put_median(paste0(id, ".median"), times[[i]], deaths[[i]])
    put_at(id, times[[i]], deaths[[i]], c(3, 6, 12))
    put_rmst(paste0(id, ".rmst"), times[[i]], deaths[[i]], month)
  }
  later <- treated & p$os_month > first
  put_delayed_median("os.delayed_entry.median", first[later], p$os_month[later], p$died[later])
}

rates <- function(p, lines) {
  rate <- function(key, rows) for (measure in names(responses)) {
    y <- as.numeric(rows$best_response %in% responses[[measure]])
    put_share(paste0(measure, ".", key), sum(y), length(y))
    put_wilson(paste0(measure, ".", key, ".wilson"), y, rows$patient_id, p$patient_id)
  }
  rate("all", lines)
  rate("first_line.all", lines[lines$line == 1, ])
  for (category in categories) {
    of <- lines[lines$category == category, ]
    rate(category, of)
    rate(paste0("first_line.", category), of[of$line == 1, ])
    rate(paste0("later_line.", category), of[of$line > 1, ])
  }
  second <- lines[lines$category == "second_cart" & !is.na(lines$target_switched), ]
  rate("second_cart.switched", second[second$target_switched == 1, ])
  rate("second_cart.same", second[second$target_switched == 0, ])
}

## Lines -------------------------------------------------------------------------------------

with_outcome <- function(p, lines) {
  own <- match(lines$patient_id, p$patient_id)
  lines$os_month <- p$os_month[own]
  lines$died <- p$died[own] == 1
  following <- match(paste(lines$patient_id, lines$line + 1), paste(lines$patient_id, lines$line))
  lines$next_start <- lines$start_month[following]
  # What came before the response did not end it.
  responded <- lines$best_response %in% responses$orr & !is.na(lines$response_month)
  lines$since <- ifelse(responded, lines$response_month, lines$start_month)
  lines
}

# Every progression on record with the line that records it. A response that ended without a
# reason ended by progression, unless the next line or last contact is in that month. Progressive
# disease without a month lies between the start of its line and the first of next line, end of
# treatment and last contact.
progressions <- function(lines) {
  end <- lines$response_end_month; reason <- lines$response_end_reason
  explained <- end == lines$os_month | (!is.na(lines$next_start) & end == lines$next_start)
  lost <- lines$best_response %in% responses$orr & !is.na(end) &
    ifelse(is.na(reason), !explained, reason == "progression")
  undated <- lines$best_response == "PD" & is.na(lines$progression_month)
  start <- lines$start_month
  after <- function(month) ifelse(!is.na(month) & month > start, month, Inf)
  latest <- pmin(after(lines$next_start), after(lines$end_month), pmax(lines$os_month, start))
  of <- function(which, month, earliest = month, undated = FALSE) if (any(which))
    data.frame(patient = lines$patient_id, line = lines$line, month, earliest, undated)[which, ]
  rbind(of(!is.na(lines$progression_month), lines$progression_month), of(lost, end),
        of(undated, latest, start, TRUE))
}

# The patient's first progression from the start of a line, or its response, on. What an earlier
# line records in that very month is the reason for this line.
first_progression <- function(lines, found) {
  rows <- lapply(seq_len(nrow(lines)), function(i) {
    since <- lines$since[i]
    of <- found[found$patient == lines$patient_id[i] &
      (found$month > since | (found$month == since & found$line >= lines$line[i])), ]
    of <- of[order(of$month, of$undated), ]
    if (nrow(of)) data.frame(month = of$month[1], earliest = min(pmax(of$earliest, since)), undated = of$undated[1])
    else data.frame(month = Inf, earliest = Inf, undated = FALSE)
  })
  do.call(rbind, rows)
}

# When lines or their responses ended, by the main rule, the two conventions about the next line,
# and with progressions without a month as early as they can be.
ends <- function(lines, from, first) {
  next_start <- ifelse(is.na(lines$next_start), Inf, lines$next_start)
  death <- ifelse(lines$died, lines$os_month, Inf)
  ended <- function(event, change, changed_is_event) {
    end <- pmin(event, change, lines$os_month)
    data.frame(time = pmax(months(from, end), 0),
               event = is.finite(event) & event <= change | changed_is_event & is.finite(change))
  }
  list(
    main = ended(pmin(first$month, death), Inf, FALSE),
    censored_at_next_line = ended(pmin(first$month, death), next_start, FALSE),
    next_line_event = ended(pmin(first$month, death), next_start, TRUE),
    earliest = ended(pmin(first$earliest, death), Inf, FALSE)
  )
}

durations <- function(lines) {
  first <- first_progression(lines, progressions(lines))
  pfs <- ends(lines, lines$start_month, first)
  dor <- ends(lines, lines$since, first)[1:3]
  responded <- lines$best_response %in% responses$orr & !is.na(lines$response_month)
  put_ends <- function(id, found, keep) {
    known <- mean(first$undated[keep]) <= most_undated
    for (rule in names(found)) {
      name <- paste(c(id, if (rule != "main") rule, "median"), collapse = ".")
      put_median(name, found[[rule]]$time[keep], found[[rule]]$event[keep], lines$patient_id[keep], known)
    }
  }
  changed <- pmin(ifelse(is.na(lines$next_start), Inf, lines$next_start), lines$os_month)
  change_or_death <- !is.na(lines$next_start) | lines$died
  for (category in c("all", categories)) {
    of <- category == "all" | lines$category == category
    put_ends(paste0("dor.", category), dor, of & responded)
    for (which in c("", "first_line.")) {
      key <- paste0(which, category); keep <- of & (which == "" | lines$line == 1)
      put_ends(paste0("pfs.", key), pfs, keep)
      put_median(paste0("ttnt.", key, ".median"), months(lines$start_month, changed)[keep],
                 change_or_death[keep], lines$patient_id[keep])
      put_median(paste0("os_from_start.", key, ".median"),
                 months(lines$start_month, lines$os_month)[keep], lines$died[keep], lines$patient_id[keep])
    }
  }
  answers[["dor.all.new_treatment_event.median"]] <<- answers[["dor.all.next_line_event.median"]]
}

## Cumulative incidence ----------------------------------------------------------------------

# Status 0 is censored; a code without an id is a competing cause that is not reported.
put_incidence <- function(ids, time, status, known = TRUE) {
  fit <- survfit(Surv(time, factor(status, 0:3)) ~ 1, conf.type = "log-log")
  for (month in c(3, 6, 12)) for (cause in seq_along(ids)) {
    at <- summary(fit, times = month, extend = TRUE)
    column <- match(cause, fit$states)
    found <- c(at$pstate[1, column], at$lower[1, column], at$upper[1, column])
    if (found[1] == 0) found[2:3] <- NA
    # Beyond the last observation nothing is known while somebody is still without an event.
    if (!known || (month > max(time) && at$pstate[1, 1] > 1e-12)) found <- rep(NA, 3)
    put(paste0("cif.", ids[cause], ".at.", month), found[1], found[2], found[3],
        length(time), sum(status == cause))
  }
}

incidences <- function(p, lines) {
  status <- ifelse(!is.na(lines$next_start), 1, ifelse(lines$died, 2, 0))
  until <- ifelse(is.na(lines$next_start), lines$os_month, lines$next_start)
  ids <- c("next_line", "death_before_next_line")
  put_incidence(ids, months(lines$start_month, until), status)
  first <- lines$line == 1
  put_incidence(paste0(ids, ".first_line"), months(lines$start_month, until)[first], status[first])
  # From relapse on. Where all were treated, salvage is certain by selection.
  start <- with(lines[first, ], start_month[match(p$patient_id, patient_id)])
  until <- pmax(ifelse(is.na(start), p$os_month, start), p$relapse_month)
  put_incidence(c("first_salvage", "death_before_first_salvage"), months(p$relapse_month, until),
                ifelse(is.na(start), 2 * p$died, 1), known = any(is.na(start)))
  cause <- if (is.null(p$cause_of_death)) NA else p$cause_of_death
  cause <- ifelse(is.na(cause), 3, ifelse(cause == "lymphoma", 2, 1))
  unknown <- sum(p$died == 1 & cause == 3)
  put_incidence(c("nrm", "death_from_lymphoma"), months(p$relapse_month, p$os_month), p$died * cause,
                known = unknown <= most_undated * sum(p$died) && unknown < sum(p$died))
}

## Adverse events ----------------------------------------------------------------------------

# The spellings that occur in the three cohorts.
terms <- list(
  fever = c("fever", "pyrexia", "febrile", "fever (non-crs)"),
  crs = c("crs", "crs grade 1", "cytokine release syndrome"),
  icans = c("icans", "icans/neurotoxicity")
)

safety <- function(events, p, lines) {
  treated <- length(unique(lines$patient_id))
  events <- events[events$patient_id %in% lines$patient_id, ]
  put_patients <- function(id, rows) put_share(id, length(unique(rows$patient_id)), treated)
  # Who had no severe event but one without a grade is not known to be free of one.
  put_severe <- function(id, rows) {
    severe <- unique(rows$patient_id[!is.na(rows$grade) & rows$grade >= 3])
    unknown <- setdiff(rows$patient_id[is.na(rows$grade)], severe)
    of_all <- nrow(rows) > 0 && length(unknown) == length(unique(rows$patient_id))
    put_share(id, if (of_all) NA else length(severe), treated - length(unknown))
  }
  put_patients("ae.any.patients", events)
  put_severe("ae.severe.patients", events)
  for (key in names(terms)) {
    of <- events[tolower(trimws(events$term)) %in% terms[[key]], ]
    put_patients(paste0("ae.", key, ".patients"), of)
    put_severe(paste0("ae.", key, ".severe.patients"), of)
    put(paste0("ae.", key, ".events"), nrow(of), n = nrow(lines), events = nrow(of))
  }
  # Exposure: to 30 days after the end of treatment, of one-off treatment to 90 days from its start
  # at least, never past the next line or last contact.
  day <- 1 / 30.4375
  end <- lines$end_month + 30 * day
  once <- lines$category %in% c("second_cart", "radiotherapy")
  end <- pmin(ifelse(once, pmax(end, lines$start_month + 90 * day), end),
              lines$next_start, lines$os_month, na.rm = TRUE)
  of_line <- match(paste(events$patient_id, events$line), paste(lines$patient_id, lines$line))
  start <- lines$start_month[of_line]; until <- end[of_line]
  # An onset on the last day counts, however its month was rounded.
  inside <- !is.na(of_line) & !is.na(events$onset_month) & until > start &
    events$onset_month >= start & events$onset_month <= until + day / 2
  for (category in categories) {
    of <- lines$category == category
    years <- sum(end[of] - lines$start_month[of]) / 12
    n <- sum(lines$category[of_line[which(inside)]] == category)
    limits <- if (n > 0) poisson.test(n, years)$conf.int else c(NA, NA)
    put(paste0("ae.rate.", category), if (n > 0) n / years else NA, limits[1], limits[2], sum(of), n)
  }
}

late_against_early <- function(p, lines, cut) {
  late <- p$relapse_month > cut
  id <- "cox.late_vs_early"
  put_hazard(paste0(id, ".hr"), p$os_month, p$died, late)
  put_hazard(paste0(id, ".from_relapse.hr"), months(p$relapse_month, p$os_month), p$died, late)
  put_tests(id, p$os_month, p$died, late)
  put_tests(paste0(id, ".from_relapse"), months(p$relapse_month, p$os_month), p$died, late)
  first <- with(lines[lines$line == 1, ], start_month[match(p$patient_id, patient_id)])
  known <- !is.na(first)
  put_hazard(paste0(id, ".from_salvage.hr"), months(first, p$os_month)[known], p$died[known], late[known])
  # Who dies on the day of relapse is never at risk after it.
  in_time <- p$os_month > p$relapse_month
  put_hazard(paste0(id, ".delayed_entry.hr"), p$os_month[in_time], p$died[in_time], late[in_time],
             p$relapse_month[in_time])
  alive <- p$os_month > cut
  put_hazard(paste0(id, ".landmark.hr"), months(cut, p$os_month[alive]), p$died[alive], late[alive])
}

# Survival after relapse, with its end, dealt anew to the times of relapse: what the ratio from
# infusion comes to where the time of relapse has no effect. R draws its own permutations.
permutation_null <- function(p, cut) {
  late <- p$relapse_month > cut; after <- months(p$relapse_month, p$os_month)
  n <- nrow(p); events <- sum(p$died)
  ids <- paste0("bias.permutation_null.", c("hr", "share"))
  if (!enough(p$died, late)) { put(ids[1], n = n, events = events); return(put(ids[2], n = 0)) }
  log_hr <- function(to) coef(coxph(Surv(round(p$relapse_month + after[to], 9), p$died[to]) ~ late))
  observed <- log_hr(seq_len(n))
  set.seed(15)
  draws <- replicate(1000, log_hr(sample(n)))
  put(ids[1], exp(mean(draws)), exp(quantile(draws, 0.05)), exp(quantile(draws, 0.95)), n, events)
  at_or_below <- draws <= observed + 1e-9
  put(ids[2], mean(at_or_below), n = length(draws), events = sum(at_or_below))
}

# The first response on any line as it became known, and as if it were known from the start.
response_and_survival <- function(p, lines) {
  held <- lines[lines$best_response %in% responses$orr, ]
  first <- lines[lines$line == 1, ]
  of <- first[!first$patient_id %in% held$patient_id[is.na(held$response_month)], ]
  patient <- match(of$patient_id, p$patient_id)
  time <- months(of$start_month, p$os_month[patient]); died <- p$died[patient]
  month <- tapply(held$response_month, held$patient_id, min)[of$patient_id]
  month <- months(of$start_month, unname(month))
  responder <- !is.na(month); later <- responder & month < time
  ids <- paste0("response_survival.", c("time_dependent", "naive"), ".hr")
  few <- sum(died) < test_events || sum(later) < test_group || sum(!responder) < test_group
  if (few) { for (id in ids) put(id, n = length(time), events = sum(died)); return() }
  split <- ifelse(later, month, time)
  rows <- rbind(data.frame(start = 0, stop = split, died = died & !later, responder = 0),
                data.frame(start = split, stop = time, died = died, responder = 1)[later, ])
  rows <- rows[rows$stop > rows$start, ]
  put_hazard(ids[1], rows$stop, rows$died, rows$responder, rows$start, n = length(time), events = sum(died))
  put_hazard(ids[2], time, died, responder)
}

prognosis <- function(p, cut) {
  after <- months(p$relapse_month, p$os_month)
  x <- factors_of(p, cut)
  for (key in names(x)) put_hazard(paste0("cox.univariable.", key, ".hr"), after, p$died, x[[key]])
  both <- cbind(x$relapse_month, x$ecog)
  known <- complete.cases(both)
  ids <- paste0("cox.prespecified.", c("relapse_month", "ecog"), ".hr")
  if (sum(p$died[known]) >= events_of_two && min(table(both[known, 2])) >= test_group) {
    put_firth(ids, after[known], p$died[known], both[known, ])
  } else for (id in ids) put(id, n = sum(known), events = sum(p$died[known]))
  for (month in sort(unique(c(1, 2, 3, 4, 6, cut)))) {
    late <- p$relapse_month > month
    put_hazard(paste0("cox.sweep.", month, ".hr"), p$os_month, p$died, late)
    put_hazard(paste0("cox.sweep.", month, ".from_relapse.hr"), after, p$died, late)
  }
}

# No point estimate where it is 0 or infinite, and nothing at all where both groups are empty or full.
put_odds <- function(id, events, n) {
  if (min(n) == 0 || sum(events) %in% c(0, sum(n))) return(put(id, n = n[1], events = events[1]))
  found <- conditional(events[1], n[1], events[2], n[2])
  p <- fisher.test(rbind(events, n - events))$p.value
  value <- if (is.na(found$odds_ratio) || found$odds_ratio == 0) NA else found$odds_ratio
  put(id, value, found$low, found$high, n[1], events[1], p)
}

across <- function(lines) {
  sizes <- sapply(categories, function(c) sum(lines$category == c))
  base <- categories[which.max(sizes)]
  for (measure in c("orr", "cr")) {
    y <- as.numeric(lines$best_response %in% responses[[measure]])
    events <- sapply(categories, function(c) sum(y[lines$category == c]))
    frame <- data.frame(y = y, category = lines$category, patient = lines$patient_id)
    p <- if (min(sum(y), sum(1 - y)) < test_events || min(sizes[sizes > 0]) < test_group) NA
    else svychisq(~ y + category, svydesign(~patient, weights = ~1, data = frame), statistic = "F")$p.value
    put(paste0("compare.", measure, ".rao_scott.p"), p, n = sum(sizes), events = sum(events), p = p)
    p <- fisher.test(cbind(events, sizes - events)[sizes > 0, ], workspace = 2e8)$p.value
    put(paste0("compare.", measure, ".exact.p"), p, n = sum(sizes), events = sum(events), p = p)
    for (category in setdiff(categories, base))
      put_odds(paste0("compare.", measure, ".", category, ".or"), events[c(category, base)], sizes[c(category, base)])
  }
  # Cohen's arcsine transformation: 80% power, 5% two-sided, from a rate of a third.
  difference <- function(id, pair) {
    effect <- (z + qnorm(0.8)) * sqrt(sum(1 / sizes[pair]))
    angle <- 2 * asin(sqrt(1 / 3)) + effect
    put(id, if (angle < pi) sin(angle / 2)^2 - 1 / 3 else NA, n = sum(sizes[pair]))
  }
  order <- order(-sizes)[sizes[order(-sizes)] > 0]
  difference("compare.detectable.largest", head(order, 2))
  difference("compare.detectable.smallest", tail(order, 2))
}

for (name in names(folders)) {
  folder <- folders[[name]]
  answers <- list()
  p <- table_of(folder, "patients"); lines <- table_of(folder, "salvage")
  lines <- lines[order(lines$patient_id, lines$line), ]
  cut <- setting(folder, "early_relapse_months", 3)
  counts(p, lines, cut)
  overall(p, lines)
  rates(p, lines)
  lines <- with_outcome(p, lines)
  durations(lines)
  incidences(p, lines)
  safety(table_of(folder, "adverse_events"), p, lines)
  late_against_early(p, lines, cut)
  permutation_null(p, cut)
  response_and_survival(p, lines)
  prognosis(p, cut)
  across(lines)
  header <- list(
    R = R.version.string,
    packages = as.list(sapply(c("survival", "survey"), function(p) as.character(packageVersion(p)))),
    files = as.list(setNames(tools::md5sum(c(file.path(folder, files), scripts)), c(files, scripts))),
    fields = c("value", "low", "high", "n", "events", "p")
  )
  text <- toJSON(c(header, list(answers = answers)), auto_unbox = TRUE, json_verbatim = TRUE, pretty = TRUE)
  writeLines(text, paste0("answers_", name, ".json"))
}
