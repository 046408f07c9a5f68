"""From a cohort to estimates: pure functions, each estimate computed once."""
