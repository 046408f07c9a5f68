# What both scripts share: numbers written exactly, and Fisher's odds ratio to the last digits.

# jsonlite writes 15 digits at most; 17 give every number back as it was.
exact <- function(x) {
  text <- paste(ifelse(is.finite(x), sprintf("%.17g", x), "null"), collapse = ", ")
  structure(if (inherits(x, "AsIs")) paste0("[", text, "]") else text, class = "json")
}

# The fits must reach the maximum to the last digits: R stops at 1e-9 otherwise.
control <- coxph.control(eps = 1e-11, iter.max = 100)

# R's own fisher.test finds the odds ratio to four digits only; its equations solved further.
conditional <- function(a, n, b, m) {
  k <- a + b; support <- max(0, k - m):min(n, k)
  log_weight <- dhyper(support, n, m, k, log = TRUE)
  density <- function(log_or) { d <- log_weight + support * log_or; d <- exp(d - max(d)); d / sum(d) }
  solve_for <- function(f) uniroot(f, c(-60, 60), tol = 1e-13, maxiter = 10000)$root
  at_low <- a == min(support); at_high <- a == max(support)
  list(
    odds_ratio = if (at_low) 0 else if (at_high) NA else exp(solve_for(function(l) sum(support * density(l)) - a)),
    low = if (at_low) 0 else exp(solve_for(function(l) sum(density(l)[support >= a]) - 0.025)),
    high = if (at_high) NA else exp(solve_for(function(l) sum(density(l)[support <= a]) - 0.025))
  )
}
