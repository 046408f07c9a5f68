"""What may be said of a cohort in public."""
