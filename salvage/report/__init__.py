"""What the book says of a cohort, chapter by chapter."""
