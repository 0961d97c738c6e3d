"""What every layer uses: clock, errors, background tasks, JSON, metrics and logs."""
