class EmbeddedStoreError(RuntimeError):
    """An embedded store cannot be started; the message says why and what to do, with the end of its log."""


class DataDirectoryBusy(EmbeddedStoreError):  # noqa: N818 - a name of the package's contract
    """Another live rdchat process owns the data directory."""
