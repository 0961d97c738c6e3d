"""The service: engine, timers, outbox, stores. What may import what is held in `pyproject.toml`."""

#: The one place where the version is written: packaging and the documents take it from here.
__version__ = "0.1.0"
