"""Directories for embedded stores: a fresh one, one with a database in it, and a template to copy."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rdchat.local.stores import EmbeddedPostgres
from tests.support.owner import QUICK, processes_below


@pytest.fixture(scope="session")
def root() -> Iterator[Path]:
    """A short private directory for everything below."""
    with tempfile.TemporaryDirectory(prefix="rd-") as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def template(root: Path) -> Path:
    """A data directory that is created once and copied by each test that needs one of its own."""
    return root / "once/template"


@pytest.fixture(scope="session")
def prepared(root: Path, template: Path) -> Path:
    """A directory with a database in it, for tests that leave it as they found it: stopped."""
    server = EmbeddedPostgres(root / "prepared", settings=QUICK, template=template)
    server.start()
    server.stop()
    return root / "prepared"


@pytest.fixture
def place(root: Path) -> Iterator[Path]:
    """A directory for one test; afterwards no process may work in it, or beside it, any more."""
    yield Path(tempfile.mkdtemp(dir=root))
    left = processes_below(root)
    for process in left:
        process.kill()
    assert left == []
