"""Which automations a session has: those of its plan, so that tests need not be told of a further one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from statemachine import RUN_ORDER
from statemachine.schedule import Leads, plan

if TYPE_CHECKING:
    from statemachine import AutomationKind

_START: Final = datetime(2030, 1, 1, 12, tzinfo=UTC)


def planned(ahead: timedelta) -> tuple[AutomationKind, ...]:
    """Return what is planned when a session is booked so long before its start, in the order it is shown."""
    plan_of_it = plan(_START, _START + timedelta(hours=1), Leads(), _START - ahead)
    return tuple(kind for kind in RUN_ORDER if kind in plan_of_it)


#: Of every session, however soon it starts.
ALWAYS: Final = planned(timedelta(0))
#: Of a session that was booked long before.
LONG_BEFORE: Final = planned(timedelta(days=30))
