"""The service itself, in layers that `pyproject.toml` lists; `runtime` wires it together."""

#: The one place where the version is written: packaging and the documents take it from here.
__version__ = "0.1.0"
