"""The life of a chat session as a pure decision table: no input, no output, no clock.

`step` is the only entry: it takes a session, a command and the instant, and answers with a `Decision`
(the changed session and the effects to perform) or a `Refusal`. The rows are in `table.py`.
"""

from statemachine.attachment import Attachment
from statemachine.commands import (
    Cancel,
    Command,
    EndSession,
    Extend,
    Reassign,
    Reschedule,
    RunAutomation,
    SendMessage,
)
from statemachine.decision import Decision, Refusal, RefusalCode
from statemachine.session import RUN_ORDER, Automation, AutomationKind, AutomationStatus, Session
from statemachine.states import OPEN, TERMINAL, EndReason, SessionOutcome, Status
from statemachine.step import step

__all__ = [
    "OPEN",
    "RUN_ORDER",
    "TERMINAL",
    "Attachment",
    "Automation",
    "AutomationKind",
    "AutomationStatus",
    "Cancel",
    "Command",
    "Decision",
    "EndReason",
    "EndSession",
    "Extend",
    "Reassign",
    "Refusal",
    "RefusalCode",
    "Reschedule",
    "RunAutomation",
    "SendMessage",
    "Session",
    "SessionOutcome",
    "Status",
    "step",
]
