"""Delivery of notifications to other programs, as Standard Webhooks."""
