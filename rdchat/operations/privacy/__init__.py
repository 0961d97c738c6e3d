"""Export, erasure and retention of what is personal, and what holds them back."""
