"""What others printed: whether it can be right, and how it compares."""
