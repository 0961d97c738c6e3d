"""What is printed and written of a run: tables, targets, plots."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pygal
from pygal.style import CleanStyle

from benchmarks.machine import describe
from benchmarks.messages.rates import CONNECTIONS, TYPICAL

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.messages.delivery import Delivery
    from benchmarks.messages.growth import Growth
    from benchmarks.messages.pressure import Overload
    from benchmarks.messages.rates import Rates

FLOOR, PEER, OURS = "bare aiohttp", "NestJS", "rdchat"
_PER_PEER, _OF_FLOOR, _POST_MS, _DELIVERY_MS, _GOODPUT, _FLAT = 5.0, 0.25, 25.0, 50.0, 0.8, 0.2
_HALF = 0.5


@dataclass(slots=True)
class Findings:
    """All that a run has found out; parts that were left out are None."""

    rates: Rates | None = None
    deliveries: list[Delivery] = field(default_factory=list)
    overload: Overload | None = None
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
            "overload": self.overload.figures() if self.overload else None,
            "faults": {name: one.figures() for name, one in self.faults.items()},
            "growth": self.growth.figures() if self.growth else None,
            "targets": [
                {"target": one.text, "reached": one.reached, "holds": one.holds} for one in targets(self)
            ],
        }


@dataclass(frozen=True, slots=True)
class Target:
    """A target, the figure that was reached, and whether it holds."""

    text: str
    reached: str
    holds: bool


def targets(found: Findings) -> list[Target]:
    """Compare the findings with the targets."""
    result: list[Target] = []
    if found.rates is not None:
        result += _rate_targets(found.rates)
    for one in found.deliveries:
        if one.contender.startswith(OURS) and one.share == _HALF:
            at = f"{one.contender} at half of its capacity ({one.rate:,.0f}/s)"
            result += [
                Target(
                    f"{at}: POST p99 at most {_POST_MS:.0f} ms",
                    f"{one.post_p99_ms:.1f} ms",
                    one.post_p99_ms <= _POST_MS,
                ),
                Target(
                    f"{at}: delivery p99 at most {_DELIVERY_MS:.0f} ms",
                    f"{one.heard_ms(0.99):.1f} ms",
                    one.heard_ms(0.99) <= _DELIVERY_MS and len(one.heard) == one.sent,
                ),
            ]
    if found.overload is not None:
        share = found.overload.share
        result.append(
            Target(
                f"goodput at twice the capacity at least {_GOODPUT:.0%} of the peak",
                f"{share:.0%}",
                share >= _GOODPUT,
            )
        )
    if found.growth is not None:
        result += _growth_targets(found.growth)
    return result


def _rate_targets(rates: Rates) -> list[Target]:
    result = []
    for name in rates.contenders():
        if name.startswith(OURS):
            per_peer, of_floor = rates.ratio(name, PEER, TYPICAL), rates.ratio(name, FLOOR, TYPICAL)
            alone = rates.ratio(name, PEER, 1)
            result += [
                Target(
                    f"{name}: at least {_PER_PEER:.0f} times the peer, {TYPICAL} connections",
                    f"{per_peer:.1f} times",
                    per_peer >= _PER_PEER,
                ),
                Target(
                    f"{name}: at least {_OF_FLOOR} of the floor, {TYPICAL} connections",
                    f"{of_floor:.2f}",
                    of_floor >= _OF_FLOOR,
                ),
                Target(
                    f"{name}: one connection alone not slower than the peer", f"{alone:.1f} times", alone >= 1
                ),
            ]
    return result


def _growth_targets(growth: Growth) -> list[Target]:
    result = []
    for what, values in (
        ("cost of a message by live sessions", growth.send_us),
        ("time to send by length of history", growth.send_ms),
        ("newest page by length of history", growth.newest_ms),
        ("oldest page by length of history", growth.oldest_ms),
    ):
        worst = max(values.values()) / min(values.values()) - 1
        result.append(Target(f"{what}: at most {_FLAT:.0%} above the least", f"{worst:+.0%}", worst <= _FLAT))
    return result


# ---- tables -----------------------------------------------------------------------------------------------


def _table(heading: list[str], rows: list[list[str]]) -> str:
    align = ["---", *(["--:"] * (len(heading) - 1))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heading, align, *rows))


def target_table(found: Findings) -> str:
    """Render the targets."""
    rows = [[one.text, one.reached, "holds" if one.holds else "**does not hold**"] for one in targets(found)]
    return _table(["target", "reached", ""], rows)


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
    return _table(heading, rows)


def _delivery_table(deliveries: list[Delivery]) -> str:
    heading = ["", "of its capacity", "messages/s", "POST p50", "p99", "delivery p50", "p99", "heard"]
    return _table(
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


def _growth_tables(growth: Growth) -> str:
    live = [
        [f"{count:,}", f"{growth.rate[count]:,.0f}", f"{growth.send_us[count]:.0f} µs"]
        for count in growth.rate
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
        _table(["live sessions", "messages/s, 8 connections", "rdchat's processor time each"], live)
        + "\n\n"
        + _table(["messages in the history", "send, p50", "newest page, p50", "oldest page, p50"], said)
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

At {TYPICAL} connections the middle one of three rounds; contenders take turns, ratios are by round.""")
        if plots:
            parts.append("![Messages a second by connections](images/bench-messages-rates.svg)")
    if found.deliveries:
        parts.append(f"""### How soon the other one sees it

From the start of the POST to the callback of the other participant's Ably SDK, messages coming at a rate by a
timetable; whatever waits for the service counts. One session in twenty is listened to.

{_delivery_table(found.deliveries)}""")
        if plots:
            parts.append("![Delivery by load](images/bench-messages-delivery.svg)")
    if found.overload is not None:
        over = found.overload
        parts.append(f"""### More than fits

Twice the capacity, {over.offered:,.0f} messages/s on 2,048 connections: {over.accepted:,.0f}/s are accepted
({over.share:.0%} of the peak) within {over.p50_ms:,.0f} ms (p50) and {over.p99_ms:,.0f} ms (p99),
{over.turned_away:,.0f}/s are turned away with 503 and `Retry-After`.""")
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

{_table(["", "POST p50", "p99", "delivery p50", "p99", "heard"], rows)}""")
    if found.growth is not None:
        parts.append(f"""### When there is more of everything

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
