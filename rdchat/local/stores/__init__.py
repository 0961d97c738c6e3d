"""A private PostgreSQL and a private Valkey, for `make run` without settings and for the tests.

Linux and macOS. Both keep their data between runs and after a crash, listen on sockets in private directories
only, end with the service that started them, and are started from the main thread.
"""

from rdchat.local.stores.errors import DataDirectoryBusy, EmbeddedStoreError
from rdchat.local.stores.postgres import EmbeddedPostgres
from rdchat.local.stores.stores import EmbeddedStores, StoreAddresses, running
from rdchat.local.stores.valkey import EmbeddedRedis

__all__ = [
    "DataDirectoryBusy",
    "EmbeddedPostgres",
    "EmbeddedRedis",
    "EmbeddedStoreError",
    "EmbeddedStores",
    "StoreAddresses",
    "running",
]
