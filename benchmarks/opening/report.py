"""What a wave of sessions came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchmarks.machine import describe
from benchmarks.quantiles import quantile

_HEADING = (
    "| job | sessions | all published after | sessions/s | POST p50 | p99 | max "
    "| processor time per session |"
)


@dataclass(slots=True)
class Wave:
    """One kind of job, due in all sessions at once.

    `published`: ms until each session's automated message, or its second reminder, was at Ably, sorted;
    `posts`: seconds that each message of other people took, sorted; `cpu`: µs of processor time per session,
    by part.
    """

    kind: str
    sessions: int
    published: list[int] = field(default_factory=list)
    posts: list[float] = field(default_factory=list)
    cpu: dict[str, int] = field(default_factory=dict)

    def figures(self) -> dict[str, Any]:
        """Return the figures as a JSON object."""
        return {
            "kind": self.kind,
            "sessions": self.sessions,
            "published": len(self.published),
            "sessionsPerSecond": round(self.sessions / (self.published[-1] / 1000)),
            "publishedMs": {
                "p50": quantile(self.published, 0.5),
                "p99": quantile(self.published, 0.99),
                "last": self.published[-1],
            },
            "cpuMicrosecondsPerSession": self.cpu,
            "postMs": {
                "count": len(self.posts),
                **{
                    name: round(1000 * quantile(self.posts, share), 1)
                    for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
                },
            },
        }


def table(waves: list[Wave]) -> str:
    """Render the figures as a Markdown table."""
    lines = [
        _HEADING,
        "|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for wave in waves:
        figures = wave.figures()
        post = figures["postMs"]
        lines.append(
            f"| `{wave.kind}` | {wave.sessions:,} | {figures['publishedMs']['last'] / 1000:.2f} s "
            f"| {figures['sessionsPerSecond']:,} | {post['p50']} ms | {post['p99']} ms | {post['max']} ms "
            f"| {', '.join(f'{part} {spent} µs' for part, spent in wave.cpu.items())} |"
        )
    return "\n".join(lines)


def section(waves: list[Wave], *, split: bool, talkers: int) -> str:
    """Render the section of docs/benchmarks.md."""
    replicas = "a replica for people, another for timers" if split else "one replica of every role"
    machine = describe()
    return f"""## The whole effect: sessions that start at the same instant, on {replicas}

`.venv/bin/python -m benchmarks.opening{" --split" if split else ""} --write`, on {machine["cores"]} cores
({machine["cpu"]}), which rdchat, PostgreSQL (every commit on disk), Valkey, the Ably endpoint and the people
share.

First both people of each session are reminded of it (`reminder`: two notifications are stored and published).
Later, before the start, each gets its first message (`initial_message`); at the start each is opened in
PostgreSQL, its welcome is stored, and four events are published by the `ably` SDK (`enable_chat`). Meanwhile
{talkers} people send a message a second each in other sessions: what that took them is under POST.

{table(waves)}
"""
