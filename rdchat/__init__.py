"""The service: engine, timers, outbox, stores. What may import what is held in `pyproject.toml`."""
