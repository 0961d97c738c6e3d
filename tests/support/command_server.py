"""Commands of `run.py` in processes of their own, which are forked from one that has imported everything.

A Python that starts takes a second of a processor for its imports; one that is forked has them. Everything
else is as it is for an operator: a process, its environment, what it prints, and its status.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]
_LONGEST_REQUEST = 64 * 1024
_STATUS = struct.Struct("i")
#: Between them these import nearly all that commands do.
_WHAT_COMMANDS_IMPORT = (
    "handlers.server.serving",
    "handlers.server.supervising",
    "rdchat.local.ably.alone",
    "rdchat.operations.administration",
    "rdchat.operations.doctor",
    "rdchat.operations.drawing",
    "rdchat.operations.key_commands",
    "rdchat.operations.role_making",
)


class CommandServer:
    """The process that commands are forked from, as its client sees it."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[CommandServer]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            command = [sys.executable, "-m", "tests.support.command_server", str(theirs.fileno())]
            process = subprocess.Popen(
                command, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )
            theirs.close()
            try:
                yield cls(ours)
            finally:
                # Not closed alone: a child that a test has forked and lost would keep it open.
                ours.shutdown(socket.SHUT_RDWR)
                process.wait()

    async def run(self, arguments: Sequence[str], environment: dict[str, str]) -> tuple[int, str]:
        """Run a command to its end. Return status and output."""
        output, output_end = os.pipe()
        status, status_end = os.pipe()
        request = json.dumps([arguments, environment]).encode()
        socket.send_fds(self._control, [request], [output_end, status_end])
        os.close(output_end)
        os.close(status_end)
        printed, ended = await asyncio.gather(_read(output), _read(status))
        return _STATUS.unpack(ended)[0], printed.decode()


async def _read(descriptor: int) -> bytes:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb")
    )
    try:
        return await reader.read()
    finally:
        transport.close()


def _serve(control: socket.socket) -> list[str] | None:
    """Fork for each request until there are no more; return in each child, with its arguments."""
    ended, wakes = socket.socketpair()
    for end in (ended, wakes):
        end.setblocking(False)
    signal.set_wakeup_fd(wakes.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(ended, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if ended in ready:
                ended.recv(4096)
                _tell(running)
            if control in ready:
                request, descriptors, _, _ = socket.recv_fds(control, _LONGEST_REQUEST, 2)
                if not request:
                    return None
                output, status = descriptors
                if (pid := os.fork()) == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for inherited in (control.fileno(), status, *running.values()):
                        os.close(inherited)
                    return _become(json.loads(request), output)
                os.close(output)
                running[pid] = status


def _tell(running: dict[int, int]) -> None:
    """Tell how those have ended that have."""
    for pid, descriptor in list(running.items()):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            os.write(descriptor, _STATUS.pack(os.waitstatus_to_exitcode(status)))
            os.close(running.pop(pid))


def _become(request: tuple[list[str], dict[str, str]], output: int) -> list[str]:
    arguments, environment = request
    os.environ.clear()
    os.environ.update(environment)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.close(output)
    return arguments


def main(control: int) -> None:
    """Serve on a socket until its other end is closed."""
    from run import cli  # noqa: PLC0415 - what the client imports has no use for it

    for name in _WHAT_COMMANDS_IMPORT:
        importlib.import_module(name)
    with socket.socket(fileno=control) as requests:
        # What was imported is shared with the children: a collection of theirs would copy all of it.
        gc.collect()
        gc.freeze()
        arguments = _serve(requests)
        if arguments is not None:
            requests.detach()
    # Outside of all that belongs to the server: a child ends here as any program does.
    if arguments is not None:
        sys.argv = ["run.py", *arguments]
        cli(prog_name="run.py")


if __name__ == "__main__":
    main(int(sys.argv[1]))
