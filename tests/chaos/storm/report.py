"""The report of a storm, for people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.chaos.storm.lateness import by_kind, by_situation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.chaos.storm.faults import Struck
    from tests.chaos.storm.lateness import Distribution
    from tests.chaos.storm.plan import Plan
    from tests.chaos.storm.record import Record
    from tests.chaos.storm.verdict import Verdict

_SHOWN: Final = 20
_WIDTH: Final = 34


@dataclass(frozen=True, slots=True)
class Report:
    """A storm's outcome. `fenced` is None when no replica counts lost races."""

    plan: Plan
    record: Record
    verdict: Verdict
    struck: Sequence[Struck]
    fenced: int | None
    problems: Counter[str]

    def text(self) -> str:
        """Write it out."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        plan, verdict = self.plan, self.verdict
        attended, heard = len(self.record.heard), sum(map(len, self.record.heard.values()))
        late = f" ({verdict.redelivered_late} of them after Ably's two minutes)"
        skipped = {f"{kind} ({reason})": count for (kind, reason), count in verdict.skipped.items()}
        yield f"Storm of {plan.seconds:.0f} s over {plan.replicas} replicas, seed {plan.seed}"
        yield _row("sessions", len(self.record.lives), verdict.sessions)
        yield _row("automations", verdict.automations.total(), verdict.automations)
        yield _row("faults", len(self.struck), Counter(one.kind.value for one in self.struck))
        yield _row("lost", len(verdict.lost))
        yield _row("repeated", len(verdict.repeated))
        yield _row("otherwise wrong", len(verdict.wrong))
        yield _row("skipped by rule", verdict.skipped.total(), skipped)
        yield _row("redelivered under the same id", verdict.redelivered) + late
        yield _row("lost races, refused by the fence", "not counted" if self.fenced is None else self.fenced)
        yield _row("sessions heard by a subscriber", attended) + f" ({heard} events)"
        yield ""
        yield f"{'lateness of automations (ms)':{_WIDTH}}{'count':>8}{'p50':>8}{'p99':>8}{'worst':>8}"
        for name, found in (by_kind(self.record) | by_situation(self.record, self.struck)).items():
            yield _distribution(name, found)
        yield ""
        yield "the replicas' logs"
        for sentence, count in self.problems.most_common(_SHOWN):
            yield f"  {count:6} {sentence}"
        for name, findings in (
            ("LOST", verdict.lost),
            ("REPEATED", verdict.repeated),
            ("WRONG", verdict.wrong),
        ):
            if findings:
                yield f"\n{name}"
                yield from (f"  {finding}" for finding in findings[:_SHOWN])
                if len(findings) > _SHOWN:
                    yield f"  ... and {len(findings) - _SHOWN} more"
        yield ""
        good = "Every automation took effect exactly once, or was skipped by a rule."
        yield good if verdict.is_good else "NOT every automation took effect exactly once."


def _row(name: str, value: object, parts: Mapping[str, int] | None = None) -> str:
    more = ", ".join(f"{part} {count}" for part, count in sorted(parts.items())) if parts else ""
    return f"{name:{_WIDTH}}{value!s:>8}" + (f"  {more}" if more else "")


def _distribution(name: str, found: Distribution) -> str:
    return f"  {name:{_WIDTH - 2}}{found.count:8}{found.p50:8}{found.p99:8}{found.worst:8}"
