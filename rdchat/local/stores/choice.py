"""Where the stores are: the servers in the settings, a running service's embedded ones, or new ones."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rdchat.common.stores import Addresses
from rdchat.local.stores import EmbeddedStores, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from config import Settings


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
        yield _addresses(settings, started.database_url, started.redis_url)
    finally:
        stores.stop()


@contextmanager
def any_stores(settings: Settings, say: Callable[[str], None]) -> Iterator[Addresses]:
    """Use the stores of the service that runs on the data directory, or start them for the block."""
    found = running(settings.data_dir)
    if found is not None:
        yield _addresses(settings, found.database_url, found.redis_url)
        return
    with own_stores(settings, say) as addresses:
        yield addresses


def _addresses(settings: Settings, database_url: str | None, redis_url: str | None) -> Addresses:
    database, redis = settings.database_url or database_url, settings.redis_url or redis_url
    if database is None or redis is None:
        raise LookupError("the running service has other settings: one of its stores is not embedded")
    return Addresses(database, redis, embedded=settings.database_url is None)
