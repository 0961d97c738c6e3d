"""Timers: the worker that fires what the delay queue holds, and the reconciler that keeps the queue full."""
