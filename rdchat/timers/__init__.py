"""Timers: the worker that fires jobs of the delay queue, and the reconciler that keeps the queue filled."""
