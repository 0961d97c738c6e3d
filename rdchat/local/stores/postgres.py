import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from rdchat.local.stores import leftovers
from rdchat.local.stores.errors import EmbeddedStoreError
from rdchat.local.stores.launch import WAYS_OUT
from rdchat.local.stores.lock import DirectoryLock
from rdchat.local.stores.places import give
from rdchat.local.stores.programs import postgres_programs
from rdchat.local.stores.server import Say, Server, silent
from rdchat.postgres.database_roles import DatabaseRole, roles_script

_PORT = "5432"
"""Names the socket's file; no port is opened."""

_NAME = "rdchat"
"""The database, and its superuser, as which nothing of the service connects."""

_OWNER = DatabaseRole("rdchat_owner")
_SERVICE = DatabaseRole("rdchat_service")

_ROLES_MADE = "rdchat.roles"
"""Lies in the data once both roles have been made: data of before that have none."""


class EmbeddedPostgres(Server):
    """A private PostgreSQL in `directory`, reachable through a socket that only this user can open.

    `settings` become `-c name=value`, after ours. With a `template`, a first start copies that prepared data
    directory (and prepares it when it does not exist yet) instead of creating one: a third of a second
    instead of one and a half.
    """

    name = "PostgreSQL"
    ask_to_end = signal.SIGINT  # "fast shutdown": sessions are cut off, everything committed is written

    def __init__(
        self,
        directory: Path,
        *,
        settings: Mapping[str, str] = {},
        template: Path | None = None,
        say: Say = silent,
    ) -> None:
        super().__init__(directory, programs=("postgres", "initdb"), socket_name=f".s.PGSQL.{_PORT}", say=say)
        self._settings = dict(settings)
        self._template = None if template is None else template.resolve()
        self._new = self.directory / "data.new"
        self._bin = postgres_programs()
        if os.geteuid() == 0:
            self._account = _account_instead_of_root()

    @property
    def address(self) -> str:
        """The superuser's address, in the form asyncpg and psql read."""
        return self._address_of(_NAME)

    @property
    def owner_address(self) -> str:
        """The address of the role that owns the schema."""
        return self._address_of(_OWNER.name)

    @property
    def service_address(self) -> str:
        """The address of the role that serves."""
        return self._address_of(_SERVICE.name)

    def _address_of(self, role: str) -> str:
        return f"postgresql://{role}@/{_NAME}?host={quote(str(self._sockets.path))}&port={_PORT}"

    def _ours(self) -> list[leftovers.Process]:
        return leftovers.servers_in([self._home, self._new, self.directory], self._programs)

    def _prepare(self) -> None:
        if not (self._home / "PG_VERSION").exists():
            shutil.rmtree(self._new, ignore_errors=True)
            if self._template is None:
                self._say("Creating the database (once) ...")
                self._create(self._new)
            else:
                self._copy_template(self._template)
            # A creation that was cut short leaves data.new; what is called data is complete.
            self._new.rename(self._home)
        # No server of ours lives here any more (start saw to it), so a pid in this file is no one's or a
        # stranger's, and PostgreSQL would refuse to start because of the stranger.
        (self._home / "postmaster.pid").unlink(missing_ok=True)
        self._make_roles(self._home)

    def _create(self, data: Path) -> None:
        data.mkdir(mode=0o700)
        give(data, *self._account)
        # The built-in locale sorts alike on every machine, whatever languages the system has.
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        # Anyone who reaches the socket is trusted; if a port is opened, no one gets in through it.
        access = [f"--username={_NAME}", "--auth-local=trust", "--auth-host=reject"]
        sync = ["--no-sync"] if self._settings.get("fsync") == "off" else []
        self._run(
            [str(self._bin / "initdb"), f"--pgdata={data}", *locale, *access, *sync, "--no-instructions"]
        )
        # Without a server: one process, one statement a line.
        self._run(
            [str(self._bin / "postgres"), "--single", "-D", str(data), "postgres"],
            f"CREATE DATABASE {_NAME};\n",
        )
        self._make_roles(data)

    def _make_roles(self, data: Path) -> None:
        """Make the roles of the owner and of the service, once; what is there becomes the owner's."""
        made = data / _ROLES_MADE
        if made.exists():
            return
        # -j: a statement ends with a semicolon and an empty line.
        alone = [str(self._bin / "postgres"), "--single", "-j", "-D", str(data), "-c", "exit_on_error=on"]
        self._run([*alone, _NAME], roles_script(_OWNER, _SERVICE))
        made.touch(mode=0o600)

    def _copy_template(self, template: Path) -> None:
        template.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        maker = DirectoryLock(template.parent)
        maker.acquire(wait=True)  # of several that need it at once, one makes it
        try:
            if not (template / "PG_VERSION").exists():
                unfinished = template.with_name(f"{template.name}.new")
                shutil.rmtree(unfinished, ignore_errors=True)
                self._create(unfinished)
                unfinished.rename(template)
            self._make_roles(template)
        finally:
            maker.release()
        # cp keeps the owner, and lets file systems that can share the blocks do so.
        copy = ["/bin/cp", "-a", str(template), str(self._new)]
        done = subprocess.run(copy, capture_output=True, text=True, check=False)  # noqa: S603 - two paths of ours
        if done.returncode != 0:
            raise EmbeddedStoreError(f"Cannot copy {template} to {self._new}: {done.stderr.strip()}")

    def _command(self) -> Sequence[str]:
        settings = {
            "listen_addresses": "",
            "port": _PORT,
            "unix_socket_directories": '"' + str(self._sockets.path).replace('"', '""') + '"',
            "unix_socket_permissions": "0700",
            "log_timezone": "UTC",
            "timezone": "UTC",
            **self._settings,
        }
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        return [str(self._bin / "postgres"), "-D", str(self._home), *options]

    def _ready(self, pid: int) -> bool:
        """Read the file where the server notes its state: pid in the first line, state in the eighth."""
        try:
            lines = (self._home / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return lines[:1] == [str(pid)] and [line.strip() for line in lines[7:8]] == ["ready"]


def _account_instead_of_root() -> tuple[int, int]:
    """Return uid and gid of the account that runs PostgreSQL for root: it refuses root.

    An existing one, because adding one would change the machine; by name, because initdb looks itself up.
    """
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedStoreError(
            f"PostgreSQL does not run as root and there is no account called nobody to run it. {WAYS_OUT}"
        ) from None
    return nobody.pw_uid, nobody.pw_gid
