"""When the played session takes place, and when each of its automations is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from statemachine import AutomationKind

if TYPE_CHECKING:
    from rdchat.local.demo.script import Plan

#: Times are shown where Ruang Diri's people live.
HOME: Final = ZoneInfo("Asia/Jakarta")
HOME_NAME: Final = "WIB"
#: A booking has one date: near midnight in one of these zones, it is made in the other.
_ZONES: Final = (HOME, ZoneInfo("Asia/Jayapura"))


def clock_time(instant: datetime) -> str:
    """Show an instant as it is read at HOME, to the second."""
    return f"{instant.astimezone(HOME):%H:%M:%S}"


def precise_time(instant: datetime) -> str:
    """Show an instant as it is read at HOME, to the millisecond."""
    return f"{clock_time(instant)}.{instant.microsecond // 1000:03d}"


@dataclass(frozen=True, slots=True)
class Appointment:
    """From `starts_at` for as long as the plan says."""

    starts_at: datetime
    plan: Plan

    @classmethod
    def after(cls, earliest: datetime, plan: Plan) -> Appointment:
        """Make one whose first automation is not due before `earliest`. Bookings are to the second."""
        start = (earliest + plan.initial_lead).replace(microsecond=0) + timedelta(seconds=1)
        return cls(start, plan)

    @property
    def ends_at(self) -> datetime:
        """Return the end."""
        return self.starts_at + self.plan.length

    @property
    def due(self) -> dict[AutomationKind, datetime]:
        """Return when the automations should run, computed here to be compared with the service."""
        return {
            AutomationKind.INITIAL_MESSAGE: self.starts_at - self.plan.initial_lead,
            AutomationKind.ENABLE_CHAT: self.starts_at,
            AutomationKind.END_WARNING: self.ends_at - self.plan.warning_lead,
            AutomationKind.AUTO_END: self.ends_at,
        }

    def order(self) -> dict[str, str]:
        """Return it as the body of a booking."""
        zone = next((one for one in _ZONES if self._is_within_a_day(one)), HOME)
        start, end = self.starts_at.astimezone(zone), self.ends_at.astimezone(zone)
        return {
            "method": "chat",
            "date": f"{start:%Y-%m-%d}",
            "startTime": f"{start:%H:%M:%S}",
            "endTime": f"{end:%H:%M:%S}",
            "timezone": str(zone),
        }

    def _is_within_a_day(self, zone: ZoneInfo) -> bool:
        return self.starts_at.astimezone(zone).date() == self.ends_at.astimezone(zone).date()
