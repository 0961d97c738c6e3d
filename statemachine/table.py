"""The table of transitions: one row a line. Everything a session can do is here, and nothing else is.

Rows of one trigger are tried from top to bottom; the first whose guards all hold is taken. A destination of
None means that the session stays where it is. The diagram in the documentation is drawn from these rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from statemachine import actions as do
from statemachine import guards as given
from statemachine.states import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from statemachine.context import TransitionContext

ACTIVE, ENDING_SOON, COMPLETED, CANCELLED = (
    Status.ACTIVE,
    Status.ENDING_SOON,
    Status.COMPLETED,
    Status.CANCELLED,
)
WAITING: Final = (Status.PENDING,)
OPENED: Final = (ACTIVE,)
WARNED: Final = (ENDING_SOON,)
TALKING: Final = (ACTIVE, ENDING_SOON)
LIVE: Final = (*WAITING, *TALKING)


@dataclass(frozen=True, slots=True)
class Row:
    """One way in which a trigger can go."""

    trigger: str
    sources: tuple[Status, ...]
    destination: Status | None
    guards: tuple[Callable[[TransitionContext], bool], ...]
    actions: tuple[Callable[[TransitionContext], None], ...]


# fmt: off
TABLE: Final = (
    # ---- timers: nothing else can open a chat --------------------------------------------------------
    Row("initial_message", WAITING,  None,        (given.start_not_due,), (do.finish, do.say)),
    Row("initial_message", LIVE,     None,        (),                     (do.skip_start_was_due,)),
    Row("enable_chat",     WAITING,  CANCELLED,   (given.over_limit,),    (do.cancel_over_limit,)),
    Row("enable_chat",     WAITING,  ACTIVE,      (given.time_to_talk,),  (do.finish, do.say, do.open_chat)),
    Row("enable_chat",     WAITING,  CANCELLED,   (),                     (do.miss,)),
    Row("end_warning",     OPENED,   ENDING_SOON, (given.worth_warning,), (do.finish, do.warn)),
    Row("end_warning",     OPENED,   None,        (),                     (do.skip_too_late_to_warn,)),
    Row("end_warning",     WAITING,  None,        (),                     (do.skip_never_opened,)),
    Row("auto_end",        TALKING,  COMPLETED,   (),                     (do.finish, do.say, do.complete)),
    Row("auto_end",        WAITING,  CANCELLED,   (),                     (do.miss,)),
    # ---- people --------------------------------------------------------------------------------------
    Row("send_message",    TALKING,  None,        (given.participant, given.before_end), (do.store_message,)),
    Row("reschedule",      WAITING,  None,        (given.participant,),   (do.reschedule,)),
    Row("reassign",        WAITING,  None,        (given.psychologist, given.another_psychologist),
                                                                          (do.reassign,)),
    Row("extend",          OPENED,   None,        (given.psychologist, given.before_end), (do.extend,)),
    Row("extend",          WARNED,   ACTIVE,      (given.psychologist, given.before_end, given.warning_ahead),
                                                                          (do.extend,)),
    Row("extend",          WARNED,   None,        (given.psychologist, given.before_end), (do.extend,)),
    Row("end",             TALKING,  COMPLETED,   (given.participant,),   (do.say_goodbye, do.complete)),
    Row("cancel",          LIVE,     CANCELLED,   (given.participant,),   (do.cancel,)),
)
# fmt: on
