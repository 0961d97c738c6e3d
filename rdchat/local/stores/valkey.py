import contextlib
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from rdchat.local.stores.programs import valkey_server
from rdchat.local.stores.server import Say, Server, silent

_SOCKET = "valkey.sock"
_PROGRAMS = frozenset({"valkey-server", "redis-server"})
"""What may be left over in the directory, whichever is started now."""


class EmbeddedRedis(Server):
    """A private Valkey (or the redis-server at `binary`) in `directory`, behind a socket of this user.

    Every write is in the append-only file; after a crash of the machine up to a second of them may be
    missing, after one of the process none. `settings` become `--name value`, after ours; a `port` among them
    opens it on 127.0.0.1 and makes it the address.
    """

    name = "Valkey"
    ask_to_end = signal.SIGTERM

    def __init__(
        self,
        directory: Path,
        *,
        binary: str | None = None,
        settings: Mapping[str, str] = {},
        say: Say = silent,
    ) -> None:
        # Not resolved: Debian's redis-server is a link to a program that goes by the name it is called by.
        self._binary = valkey_server() if binary is None else Path(binary).absolute()
        super().__init__(directory, programs=_PROGRAMS | {self._binary.name}, socket_name=_SOCKET, say=say)
        self._socket = self._sockets.path / _SOCKET
        self._settings = dict(settings)
        self._port = self._settings.get("port", "0")

    @property
    def address(self) -> str:
        """The address, in the form redis-py reads."""
        if self._port != "0":
            return f"redis://127.0.0.1:{self._port}/0"
        return f"unix://{quote(str(self._socket))}?db=0"

    def _prepare(self) -> None:
        self._home.mkdir(mode=0o700, exist_ok=True)

    def _command(self) -> Sequence[str]:
        settings = {
            "dir": str(self._home),
            "port": "0",
            "bind": "127.0.0.1",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",  # the append-only file is enough
            **self._settings,
        }
        return [
            str(self._binary),
            *(part for name, value in settings.items() for part in (f"--{name}", value)),
        ]

    def _ready(self, pid: int) -> bool:  # noqa: ARG002 - the socket is ours alone, so what answers is it
        """Ask; a server that is still reading its file says LOADING."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5.0)
            client.connect(str(self._socket))
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
        return False
