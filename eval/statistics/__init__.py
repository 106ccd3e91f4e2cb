"""What the scores of many programs say together: estimates with intervals, and differences of two runs."""
