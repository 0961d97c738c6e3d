"""Where the stores are: the servers in the settings, a running service's embedded ones, or new ones."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rdchat.common.stores import Addresses
from rdchat.local.stores import EmbeddedStores, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from config import Settings
    from rdchat.local.stores import StoreAddresses


@contextmanager
def own_stores(settings: Settings, say: Callable[[str], None]) -> Iterator[Addresses]:
    """Start what the settings leave to be embedded, for as long as the block runs. For the main thread.

    Raise `DataDirectoryBusy` when another service owns the data directory.
    """
    stores = EmbeddedStores(
        settings.data_dir,
        postgres=settings.database_url is None,
        redis=settings.redis_url is None,
        say=say,
    )
    started = stores.start()
    try:
        yield _addresses(settings, started)
    finally:
        stores.stop()


@contextmanager
def any_stores(settings: Settings, say: Callable[[str], None]) -> Iterator[Addresses]:
    """Use the stores of the service that runs on the data directory, or start them for the block."""
    found = running(settings.data_dir)
    if found is not None:
        yield _addresses(settings, found)
        return
    with own_stores(settings, say) as addresses:
        yield addresses


def _addresses(settings: Settings, found: StoreAddresses) -> Addresses:
    database, redis = settings.database_url or found.database_url, settings.redis_url or found.redis_url
    if database is None or redis is None:
        raise LookupError("the running service has other settings: one of its stores is not embedded")
    if settings.database_url is None:
        return Addresses(database, redis, embedded=True, owner_url=found.owner_url)
    return Addresses(database, redis, embedded=False, owner_url=settings.migrate_database_url)
