"""The timers beside those of seven other libraries."""
