"""What tests of the program share: Ctrl-C that reaches it, a data directory that it finds ready."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from typing import TYPE_CHECKING

import asyncpg
import pytest

from rdchat.local.stores import EmbeddedStores
from tests.conftest import _TEMPLATES
from tests.support import program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard() -> None:
    """Who runs the tests in the background has SIGINT ignored, which every program would inherit."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def commands(ctrl_c_is_heard: None) -> Iterator[None]:  # noqa: ARG001 - it inherits what is heard
    """Have a process that commands are forked from: a start of Python for each takes a second."""
    with program.prepared():
        yield


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with empty stores in it, stopped."""
    directory = tmp_path_factory.mktemp("made-once")
    stores = EmbeddedStores(directory, postgres=True, redis=True, template=_TEMPLATES / "postgres")
    address = stores.start().database_url
    assert address is not None
    asyncio.run(_spare_the_disk(address))
    stores.stop()
    return directory


@pytest.fixture
def data_dir(made_once: Path, tmp_path: Path) -> Path:
    """A data directory of the test's own: a service starts on it without creating a database first."""
    place = tmp_path / "data"
    # Not Python's own copy: the database belongs to another account when root runs the tests.
    subprocess.run(["/bin/cp", "-a", made_once, place], check=True)
    return place


async def _spare_the_disk(address: str) -> None:
    """Programs are killed here, never the machine: nothing is lost when the disk is not waited for."""
    # As the superuser, whom the service does without.
    connection = await asyncpg.connect(address.replace("://rdchat_service@", "://rdchat@"))
    await connection.execute("ALTER SYSTEM SET fsync = off")
    await connection.close()
