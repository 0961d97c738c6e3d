"""The resources: one module each, with what they share - presenters, cursors, idempotency."""
