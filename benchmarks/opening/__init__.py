"""Thousands of sessions that start at the same instant, with their whole effect."""
