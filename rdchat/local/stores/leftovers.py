"""Servers that outlived their service: found by what they are, never by a number in a file.

A process is one of ours when its program has the server's name *and* it works inside our private data
directory, where both servers go first thing. A pid file is not asked: its number may belong to another
process by now.
"""

import signal
import time
from collections.abc import Collection, Iterable
from pathlib import Path

import psutil  # it ships no types
from psutil import Process

__all__ = ["Process", "end", "kill", "servers_in", "wait_gone"]

_POLL_SECONDS = 0.005


def servers_in(directories: Iterable[Path], programs: Collection[str]) -> list[Process]:
    """Return the live processes of one of the `programs` (file names) that work in one of `directories`."""
    homes = {str(directory) for directory in directories}
    found = []
    for process in psutil.process_iter():
        try:
            # A program deleted or replaced since (a rebuilt virtual environment) is marked by the kernel.
            program = Path(process.exe().removesuffix(" (deleted)")).name
            if program in programs and process.cwd() in homes and _lives(process):
                found.append(process)
        except (psutil.Error, OSError):
            continue  # gone meanwhile, or another account's: not ours
    return found


def end(processes: list[Process], ask: signal.Signals, *, patience: float) -> None:
    """Ask the heads among `processes` to end, and end by force what still lives after `patience` seconds.

    Heads are those whose parent is not among them: a PostgreSQL backend is its postmaster's business.
    """
    members = {process.pid for process in processes}
    for process in processes:
        try:
            if process.ppid() not in members:
                process.send_signal(ask)  # psutil makes sure that the number still means the same process
        except psutil.NoSuchProcess:
            continue
    if not wait_gone(processes, patience):
        kill(processes)


def kill(processes: list[Process], *, patience: float = 10.0) -> None:
    """End `processes` by force and wait until they are gone, at most `patience` seconds."""
    for process in sorted(processes, key=lambda process: process.pid):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    wait_gone(processes, patience)


def wait_gone(processes: Iterable[Process], patience: float) -> bool:
    """Wait until none of `processes` lives, at most `patience` seconds; return whether they are gone."""
    give_up = time.monotonic() + patience
    waiting = list(processes)
    while waiting := [process for process in waiting if _lives(process)]:
        if time.monotonic() > give_up:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _lives(process: Process) -> bool:
    """Return whether it still runs; an uncollected zombie (init in some containers) does not."""
    try:
        return process.is_running() and process.status() not in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
    except psutil.NoSuchProcess:
        return False
