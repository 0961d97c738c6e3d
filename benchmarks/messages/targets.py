"""What a run of the messages' benchmark is held to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.quantiles import quantile
from benchmarks.rates import TYPICAL
from benchmarks.targets import Target

if TYPE_CHECKING:
    from benchmarks.messages.growth import Growth
    from benchmarks.messages.pressure import Overload
    from benchmarks.messages.report import Findings
    from benchmarks.rates import Rates

FLOOR, PEER, OURS = "bare aiohttp", "NestJS", "rdchat"
#: Times the peer by processes, times the peer with one connection, and of bare aiohttp.
_PER_PEER, _ALONE, _OF_FLOOR = {1: 5.0, 2: 6.0}, 1.5, 0.33
#: At half of the capacity, and of POST at four fifths, ms (p99).
_POST_MS, _DELIVERY_MS, _BUSY_POST_MS = 15.0, 35.0, 50.0
_HALF, _BUSY = 0.5, 0.8
#: Past the limit: of the peak, of a message's cost, and ms late (p99).
_GOODPUT, _REFUSAL, _LATE_MS = 0.9, 1 / 6, 50.0
#: How much more the dearest of live sessions, and of histories, may cost than the cheapest.
_FLAT_LIVE, _FLAT = 0.1, 0.2


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
        if one.contender == OURS and one.share == _BUSY:
            result.append(
                Target(
                    f"{OURS} at {_BUSY:.0%} of its capacity ({one.rate:,.0f}/s): POST p99 at most "
                    f"{_BUSY_POST_MS:.0f} ms",
                    f"{one.post_p99_ms:.1f} ms",
                    one.post_p99_ms <= _BUSY_POST_MS,
                )
            )
    for over in found.overloads:
        result += _overload_targets(over)
    if found.growth is not None:
        result += _growth_targets(found.growth)
    return result


def _rate_targets(rates: Rates) -> list[Target]:
    result = []
    for name in rates.contenders():
        if name.startswith(OURS):
            per_peer, of_floor = rates.ratio(name, PEER, TYPICAL), rates.ratio(name, FLOOR, TYPICAL)
            alone = rates.ratio(name, PEER, 1)
            wanted = _PER_PEER[1 if name == OURS else 2]
            result += [
                Target(
                    f"{name}: at least {wanted:.0f} times the peer, {TYPICAL} connections",
                    f"{per_peer:.1f} times",
                    per_peer >= wanted,
                ),
                Target(
                    f"{name}: at least {_OF_FLOOR} of the floor, {TYPICAL} connections",
                    f"{of_floor:.2f}",
                    of_floor >= _OF_FLOOR,
                ),
                Target(
                    f"{name}: one connection alone at least {_ALONE} times the peer",
                    f"{alone:.1f} times",
                    alone >= _ALONE,
                ),
            ]
    return result


def _overload_targets(over: Overload) -> list[Target]:
    at = f"at {over.times:.0f} times the capacity"
    late = quantile(over.late, 0.99)
    return [
        Target(
            f"goodput {at} at least {_GOODPUT:.0%} of the peak", f"{over.share:.0%}", over.share >= _GOODPUT
        ),
        Target(
            f"a refusal {at} costs at most a sixth of a message",
            f"{over.refusal_us / over.message_us:.2f}",
            over.refusal_us <= _REFUSAL * over.message_us,
        ),
        Target(
            f"chats open {at} less than {_LATE_MS:.0f} ms late (p99)",
            f"{late:.0f} ms, {over.unopened} not at all",
            late < _LATE_MS and not over.unopened,
        ),
        Target(f"no end is refused {at}", f"{over.ends}", set(over.ends) == {"200"}),
    ]


def _growth_targets(growth: Growth) -> list[Target]:
    result = []
    for what, values, most in (
        ("cost of a message by live sessions", growth.send_us, _FLAT_LIVE),
        ("time to send by length of history", growth.send_ms, _FLAT),
        ("newest page by length of history", growth.newest_ms, _FLAT),
        ("oldest page by length of history", growth.oldest_ms, _FLAT),
    ):
        worst = max(values.values()) / min(values.values()) - 1
        result.append(Target(f"{what}: at most {most:.0%} above the least", f"{worst:+.0%}", worst <= most))
    return result
