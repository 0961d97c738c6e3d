"""What is printed and written of a run: tables, targets, plots."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pygal
from pygal.style import CleanStyle

from benchmarks.machine import describe
from benchmarks.messages.rates import CONNECTIONS
from benchmarks.messages.targets import targets
from benchmarks.quantiles import quantile
from benchmarks.rates import TYPICAL
from benchmarks.targets import render_targets, table

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.messages.delivery import Delivery
    from benchmarks.messages.growth import Growth
    from benchmarks.messages.pressure import Overload
    from benchmarks.rates import Rates


@dataclass(slots=True)
class Findings:
    """All that a run has found out; parts that were left out are None."""

    rates: Rates | None = None
    deliveries: list[Delivery] = field(default_factory=list)
    overloads: list[Overload] = field(default_factory=list)
    faults: dict[str, Delivery] = field(default_factory=dict)
    growth: Growth | None = None
    seconds: float = 0.0
    used_by_others: float = 0.0

    def figures(self) -> dict[str, Any]:
        """Return everything as JSON."""
        rates = self.rates
        return {
            "machine": describe(),
            "seconds": round(self.seconds),
            "usedByOthers": round(self.used_by_others, 2),
            "rates": [{"contender": one.contender, **one.figures()} for one in rates.measured]
            if rates
            else [],
            "delivery": [one.figures() for one in self.deliveries],
            "overloads": [one.figures() for one in self.overloads],
            "faults": {name: one.figures() for name, one in self.faults.items()},
            "growth": self.growth.figures() if self.growth else None,
            "targets": [one.figures() for one in targets(self)],
        }


# ---- tables -----------------------------------------------------------------------------------------------


def target_table(found: Findings) -> str:
    """Render the targets."""
    return render_targets(targets(found))


def _rates_table(rates: Rates) -> str:
    rows = []
    for connections in CONNECTIONS:
        for name in rates.contenders():
            one = rates.of(name, connections)
            rows.append(
                [
                    f"{connections}",
                    name,
                    f"{one.rate:,.0f}",
                    f"{one.p50_ms:.1f} ms",
                    f"{one.p99_ms:.1f} ms",
                    f"{one.own_cpu_us / 1000:.2f} s",
                    f"{one.postgres_cpu_us / 1000:.2f} s",
                    f"{one.commits:.2f}",
                ]
            )
    heading = [
        "connections",
        "",
        "messages/s",
        "p50",
        "p99",
        "own CPU per 1,000",
        "PostgreSQL's",
        "commits each",
    ]
    return table(heading, rows)


def _parts_table(rates: Rates) -> str:
    parts = list(rates.measured[0].other_cpu_us)
    heading = ["", "messages/s", "own", "PostgreSQL", *parts, "together", "messages/s by all of one core"]
    rows = []
    for name in rates.contenders():
        one = rates.of(name, TYPICAL)
        together = one.cpu_us + sum(one.other_cpu_us.values())
        rows.append(
            [
                name,
                f"{one.rate:,.0f}",
                *(f"{cost:.0f} µs" for cost in (one.own_cpu_us, one.postgres_cpu_us)),
                *(f"{one.other_cpu_us[part]:.0f} µs" for part in parts),
                f"{together:.0f} µs",
                f"{1e6 / together:,.0f}",
            ]
        )
    return table(heading, rows)


def _delivery_table(deliveries: list[Delivery]) -> str:
    heading = ["", "of its capacity", "messages/s", "POST p50", "p99", "delivery p50", "p99", "heard"]
    return table(
        heading,
        [
            [
                one.contender,
                f"{one.share:.0%}",
                f"{one.rate:,.0f}",
                f"{one.post_p50_ms:.1f} ms",
                f"{one.post_p99_ms:.1f} ms",
                f"{one.heard_ms(0.5):.1f} ms",
                f"{one.heard_ms(0.99):.1f} ms",
                f"{len(one.heard)} of {one.sent}",
            ]
            for one in deliveries
        ],
    )


def _overload_table(overloads: list[Overload]) -> str:
    heading = [
        "of the capacity",
        "offered, a second",
        "accepted",
        "of the peak",
        "p50",
        "p99",
        "turned away",
        "a refusal",
        "a message",
        "chats opened",
        "p99 late",
        "ends",
    ]
    return table(
        heading,
        [
            [
                f"{one.times:.0f} times",
                f"{one.offered:,.0f}",
                f"{one.accepted:,.0f}",
                f"{one.share:.0%}",
                f"{one.p50_ms:,.0f} ms",
                f"{one.p99_ms:,.0f} ms",
                f"{one.turned_away:,.0f}",
                f"{one.refusal_us:.0f} µs",
                f"{one.message_us:.0f} µs",
                f"{len(one.late)} of {len(one.late) + one.unopened}",
                f"{quantile(one.late, 0.99):.0f} ms",
                ", ".join(f"{count} answered {status}" for status, count in one.ends.items()),
            ]
            for one in overloads
        ],
    )


def _growth_tables(growth: Growth) -> str:
    live = [
        [
            f"{count:,}",
            f"{growth.send_us[count]:.0f} µs",
            f"{growth.post_ms[count]:.1f} ms",
            f"{growth.memory_mib[count]:,.0f} MiB",
            f"{growth.fill_rate[count]:,.0f}",
        ]
        for count in growth.send_us
    ]
    said = [
        [
            f"{count:,}",
            f"{growth.send_ms[count]:.2f} ms",
            f"{growth.newest_ms[count]:.2f} ms",
            f"{growth.oldest_ms[count]:.2f} ms",
        ]
        for count in growth.send_ms
    ]
    return (
        table(["live sessions", "processor time a message", "POST p99", "memory", "filled, a second"], live)
        + "\n\n"
        + table(["messages in the history", "send, p50", "newest page, p50", "oldest page, p50"], said)
    )


def section(found: Findings, *, plots: bool) -> str:
    """Render the section of docs/benchmarks.md."""
    machine = describe()
    parts = [
        f"""## Messages

`make bench-messages` (`python -m benchmarks.messages --write`), {found.seconds:.0f} s.
{machine["cpu"]}, {machine["cores"]} cores, {machine["memory_gib"]} GiB, {machine["kernel"]},
Python {machine["python"]} ({machine["build"]}); {found.used_by_others:.0%} of the processors used by others.

`POST /api/v1/chat/messages` in 1,000 open sessions, both participants talking. Everything shares the machine:
PostgreSQL (every commit on disk), Valkey, the Ably endpoint, the load generator. *bare aiohttp* reads the
same request and answers in the same form. *NestJS* is written as its documentation teaches (Express,
validation pipe, JWT guard, a transaction of three statements for each message) and publishes through the
`ably` SDK after the commit, without waiting for it. *rdchat* has everything on: JWT, validation, encryption
at rest, the state machine, dense `seq`, outbox, publishing.

{target_table(found)}""",
    ]
    if found.rates is not None:
        parts.append(f"""### How many

{_rates_table(found.rates)}

At {TYPICAL} connections the middle one of three rounds; contenders take turns, ratios are by round.

Where the processors' time goes at {TYPICAL} connections, per message. All of it is on the cores of this
machine; elsewhere endpoint and people have machines of their own, and what a core can do is a second divided
by the sum of the parts that it has.

{_parts_table(found.rates)}""")
        if plots:
            parts.append("![Messages a second by connections](images/bench-messages-rates.svg)")
    if found.deliveries:
        parts.append(f"""### How soon the other one sees it

From the start of the POST to the callback of the other participant's Ably SDK, messages coming at a rate by a
timetable; whatever waits for the service counts. One session in twenty is listened to.

{_delivery_table(found.deliveries)}""")
        if plots:
            parts.append("![Delivery by load](images/bench-messages-delivery.svg)")
    if found.overloads:
        parts.append(f"""### More than fits

What is turned away is answered 503 with `Retry-After`; a message and a refusal by what they cost of rdchat's
processor time. Meanwhile chats open (how late the last in a hundred was said to be, at Ably), and others are
ended by their people.

{_overload_table(found.overloads)}""")
    if found.faults:
        names = {
            "nothing": "nothing is wrong",
            "postgres": "PostgreSQL 50 ms away",
            "redis": "Redis 500 ms away",
            "ably": "Ably gone for 9 s",
        }
        rows = [
            [
                names[name],
                f"{one.post_p50_ms:.1f} ms",
                f"{one.post_p99_ms:.1f} ms",
                f"{one.heard_ms(0.5):,.1f} ms",
                f"{one.heard_ms(0.99):,.1f} ms",
                f"{len(one.heard)} of {one.sent}",
            ]
            for name, one in found.faults.items()
        ]
        parts.append(f"""### When a store is slow or gone

At a fifth of the capacity. PostgreSQL is waited for, there and back; Redis and Ably are not. What could not
be published is published when Ably is back.

{table(["", "POST p50", "p99", "delivery p50", "p99", "heard"], rows)}""")
    if found.growth is not None:
        parts.append(f"""### When there is more of everything

By live sessions: each said something, then people in any of them send 600 messages a second in all.

{_growth_tables(found.growth)}""")
    return "\n\n".join(parts)


# ---- plots ------------------------------------------------------------------------------------------------


def draw(found: Findings, folder: Path) -> None:
    """Draw the plots."""
    if found.rates is not None:
        chart = _chart(pygal.Bar, "Messages a second, by connections")
        chart.x_labels = [str(count) for count in CONNECTIONS]
        for name in found.rates.contenders():
            chart.add(name, [round(found.rates.of(name, count).rate) for count in CONNECTIONS])
        chart.render_to_file(str(folder / "bench-messages-rates.svg"))
    if found.deliveries:
        chart = _chart(pygal.XY, "From POST to the other's callback, ms (p99), by messages a second")
        for name in dict.fromkeys(one.contender for one in found.deliveries):
            chart.add(
                name,
                [
                    (round(one.rate), round(one.heard_ms(0.99), 1))
                    for one in found.deliveries
                    if one.contender == name
                ],
            )
        chart.render_to_file(str(folder / "bench-messages-delivery.svg"))


def _chart(kind: Any, title: str) -> Any:  # noqa: ANN401 - pygal has no types
    # Without scripts, which would be fetched from elsewhere.
    return kind(title=title, style=CleanStyle(), js=[], width=900, height=420, legend_at_bottom=True)
