"""What both servers share: being started, waited for, stopped, killed, and tidied up after."""

import os
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from rdchat.local.stores import launch, leftovers
from rdchat.local.stores.errors import EmbeddedStoreError
from rdchat.local.stores.lock import DirectoryLock
from rdchat.local.stores.places import SocketPlace, private_directory

START_SECONDS = 60.0
"""How long a server may take until it answers; recovery after a crash is part of that."""

_CREATE_SECONDS = 300.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.005
_LOG_BYTES = 4 * 1024 * 1024
_TAIL_LINES = 15

# The servers inherit nothing else: a PGPORT or LC_ALL of the developer must not change them, and no secret is
# theirs.
_ENVIRONMENT: tuple[str, ...] = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "HOME", "TMPDIR")

Say = Callable[[str], None]


def silent(_sentence: str) -> None:
    """Report nothing."""


class Server(ABC):
    """One private server on one private directory. Blocking; `start` belongs in the main thread.

    On Linux the kernel is asked to signal the server when *the thread that started it* ends: that must be the
    thread that lives as long as the process.
    """

    name: str
    ask_to_end: signal.Signals

    def __init__(self, directory: Path, *, programs: Collection[str], socket_name: str, say: Say) -> None:
        self.directory = directory.resolve()
        self._say = say
        self._programs = frozenset(programs)
        self._home = self.directory / "data"  # where the server works; by this it is recognised later
        self._account = (-1, -1)
        self._sockets = SocketPlace(self.directory, socket_name)
        self._lock = DirectoryLock(self.directory)
        self._process: subprocess.Popen[bytes] | None = None
        self._log = self.directory / "server.log"
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The process id of the server, None when it is not running."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def start(self) -> str:
        """Start the server and return its address once it answers; a running one is left as it is.

        Raise `DataDirectoryBusy` when another process owns the directory, `EmbeddedStoreError` with the end
        of the server's log when it does not come up within `START_SECONDS`, `RuntimeError` outside the main
        thread.
        """
        if self.pid is not None:
            return self.address
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(
                f"Start {self.name} from the main thread: on Linux it ends with the thread that started it."
            )
        private_directory(self.directory)
        self._lock.acquire()
        try:
            self._begin_log()
            if orphans := self._ours():
                self._say(f"Ending the {self.name} of a service that was killed ...")
                leftovers.end(orphans, self.ask_to_end, patience=10.0)
            self._sockets.make(*self._account)
            self._prepare()
            self._process = self._spawn(self._command())
            self._wait_until_ready(self._process)
        except BaseException:
            self.kill()
            raise
        return self.address

    def stop(self) -> None:
        """Ask the server to end in order and wait; after 30 s it is killed. A stopped one stays stopped."""
        if self._process is None or not self._lock.held:
            return
        if self._process.poll() is None:
            self._process.send_signal(self.ask_to_end)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        else:
            self.kill()  # it ended on its own: its children may not have
        self._process = None
        self._sockets.clear()
        self._lock.release()

    def kill(self) -> None:
        """End the server and its children by SIGKILL and wait until they are gone. The data stays."""
        if not self._lock.held:
            return
        if self._process is not None:
            self._process.kill()  # first the head, which would otherwise replace its children
            self._process.wait()
        leftovers.kill(self._ours())
        self._process = None
        self._lock.release()

    @property
    @abstractmethod
    def address(self) -> str:
        """The URL at which clients reach it."""

    @abstractmethod
    def _prepare(self) -> None:
        """Make the directory ready for the command."""

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """Return program (absolute) and arguments."""

    @abstractmethod
    def _ready(self, pid: int) -> bool:
        """Return whether the server answers."""

    def _ours(self) -> list[leftovers.Process]:
        return leftovers.servers_in([self._home], self._programs)

    def _spawn(self, command: Sequence[str], *, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """Start `command` in a session of its own: Ctrl-C on the terminal reaches the service only."""
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        launcher = [sys.executable, "-I", "-S", launch.__file__]
        orders = [str(number) for number in (os.getpid(), int(self.ask_to_end), *self._account)]
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own programs with our own arguments, no shell
                [*launcher, *orders, *command],
                stdin=stdin,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=environment | {"LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,
            )

    def _run(self, command: Sequence[str], text: str = "") -> None:
        """Run `command` to its end, with `text` on its standard input."""
        process = self._spawn(command, stdin=subprocess.PIPE)
        try:
            process.communicate(text.encode(), timeout=_CREATE_SECONDS)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # the session is its own and it is not yet collected
            process.wait()
            raise
        if process.returncode != 0:
            raise self._failed(f"{Path(command[0]).name} failed")

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        give_up = time.monotonic() + START_SECONDS
        while not self._ready(process.pid):
            if process.poll() is not None:
                raise self._failed(f"{self.name} ended while starting")
            if time.monotonic() > give_up:
                raise self._failed(f"{self.name} did not answer within {START_SECONDS:.0f} s")
            time.sleep(_POLL_SECONDS)

    def _begin_log(self) -> None:
        """Remember where this start's lines begin; put a long log aside, keeping one."""
        if self._log.exists() and self._log.stat().st_size > _LOG_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        self._log.touch(mode=0o600)
        self._log_start = self._log.stat().st_size

    def _failed(self, what: str) -> EmbeddedStoreError:
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            tail = log.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
        return EmbeddedStoreError("\n  ".join([f"{what}. The end of {self._log}:", *tail]))
