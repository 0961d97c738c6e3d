"""The sentences of the report: what was done, on what, by which settings, and what each number means."""

from __future__ import annotations

import textwrap
from typing import Any

from benchmarks.timers.contenders import CONTENDERS
from benchmarks.timers.plan import BOOKING, BULK, SPARE_SECONDS, WARM_UP

_WIDTH = 108

INTRODUCTION = """\
# Benchmarks

What was measured, on what, and how to measure it again. Each section between markers is written by the
command that it names; only what stands outside of them is written by hand.
"""

HEADING = """\
## Timers

The delay queue of rdchat beside the libraries that people would otherwise take, each with one worker process,
all on one server, one after another."""

AFTER_RATIOS = """\
"Times better" above 1 says that rdchat is ahead of the best peer of that line, below 1 that it is behind. All
numbers:"""


def circumstances(results: dict[str, Any]) -> str:
    """Return the command, date, machine and server."""
    machine = results["machine"]
    return _paragraph(
        f"`{results['command']}`, {results['started']}, {results['seconds']} s. {machine['cpu']}, "
        f"{machine['cores']} cores, {machine['memory_gib']} GiB, {machine['kernel']}, Python "
        f"{machine['python']}. {results['redis']} as `make run` starts it (append-only file, flushed every "
        "second; no rewrite of it while measuring), over TCP on the loopback."
    )


def meaning(plan: dict[str, Any]) -> str:
    """Return what each number means."""
    items = {
        "Scheduling, in bulk": f"""
            {plan["schedule"]:,} jobs due in an hour, by the bulk call where there is one, {BULK:,} a
            call; the median of up to {plan["rounds"]} rounds, each in a fresh process after {WARM_UP:,}
            jobs that do not count. After {plan["schedule_seconds"]:.0f} s a round ends with what it has
            done. What the library is handed was built before.""",
        "Scheduling, four a call": """
            what one booking does, one call after the other; single calls where there is no bulk call.""",
        "Redis bytes": """
            growth of `used_memory`, without the clients' buffers, by the jobs of the first round, divided
            by their number. In rdchat Redis has a copy and PostgreSQL the original, which is not counted;
            in the peers Redis has everything.""",
        "Late": f"""
            {plan["lateness"]:,} jobs, {plan["rate"]:,} a second, all scheduled before the first is due,
            most of them {SPARE_SECONDS:.0f} s and more. Of those that ran, the instant at which the
            handler starts minus the due instant, by the wall clock. The handler does nothing but note it.
            *Early* is a defect; *missing* had not run {plan["lateness_tail_seconds"]:.0f} s after the
            last one was due; *twice* ran more than once. One round: a library that runs little more than
            {plan["rate"]:,} jobs a second at its best (next line) is at its limit here, and its p99 differs
            tenfold from one run to the next.""",
        "Late at 5,000/s": f"""
            the same with {plan["lateness_fast"]:,} jobs, {plan["fast_rate"]:,} a second, of rdchat alone:
            more than any of the peers can run.""",
        "At one instant": f"""
            {plan["drain"]:,} jobs due together; jobs a second from that instant to the start of the last
            handler; the median of up to {plan["rounds"]} rounds. After {plan["drain_seconds"]:.0f} s a
            round ends.""",
        "Cancelling": f"""
            {plan["cancel"]:,} pending jobs (arq: 1,000). Checked: they are gone. Celery is the exception:
            its workers note what not to run, and the messages stay in Redis until they are due.""",
        "Run again after kill -9": """
            the only worker is killed in the middle of a job and another one started at once; the time
            until it runs that job, its start included. One trial. In rdchat this is the lease of the
            queue alone; a replica that starts also runs what PostgreSQL says is overdue, which is not
            measured here.""",
        "Used by others": """
            the part of all processor time that went to processes outside the benchmark. Where it is well
            above 0, the numbers of that column are worse than they would be.""",
    }
    return "What the numbers mean:\n\n" + "\n".join(
        _item(f"*{name}*: {' '.join(text.split())}") for name, text in items.items()
    )


def settings(results: dict[str, Any]) -> str:
    """Return the versions and settings of all contenders."""
    introduction = _paragraph(
        "Versions and settings. What speeds a peer up and its documentation names is switched on; the rest "
        "is as it comes. Handlers, payload (session id, kind, version) and sizes are the same for all; a "
        f"session has {BOOKING} jobs."
    )
    items = []
    for one in CONTENDERS:
        if one.name in results["contenders"]:
            found = results["contenders"][one.name]["versions"]
            versions = (
                f" ({', '.join(f'{name} {version}' for name, version in found.items())})" if found else ""
            )
            cancelling = f" Cancelling: {one.cancelling}." if one.cancelling else ""
            title = f"{one.title}{versions}: {one.settings.format_map(one.worker)}."
            items.append(_item(f"{title} Scheduling: {one.scheduling}.{cancelling}"))
    return introduction + "\n\n" + "\n".join(items)


def _paragraph(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _item(text: str) -> str:
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent="- ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
