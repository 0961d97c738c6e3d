"""What books by wall time, at every hour of a day and around the ends of months and years."""
