"""The commands that a session takes. Every cause in the program becomes one of these."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statemachine.values import value

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from statemachine.attachment import Attachment
    from statemachine.schedule import Leads
    from statemachine.session import AutomationKind


@value
class SendMessage:
    """A participant sends a message. `message_id` is the id the message will have."""

    message_id: UUID
    sender_id: UUID
    text: str
    client_message_id: str | None = None
    attachment: Attachment | None = None

    trigger = "send_message"


@value
class EndSession:
    """A participant ends the open chat before its time."""

    by: UUID

    trigger = "end"


@value
class Cancel:
    """A participant cancels the session. `by` is None for an administrator."""

    by: UUID | None
    reason: str | None = None

    trigger = "cancel"


@value
class Reschedule:
    """A person moves a session that has not begun. `by` is None for an administrator."""

    by: UUID | None
    starts_at: datetime
    ends_at: datetime
    leads: Leads

    trigger = "reschedule"


@value
class Reassign:
    """A session that has not begun is given to another psychologist.

    `by` is the one who has it, or None for those who oversee it.
    """

    by: UUID | None
    psychologist_id: UUID
    psychologist_name: str
    psychologist_timezone: str

    trigger = "reassign"


@value
class Extend:
    """The psychologist extends an open chat."""

    by: UUID
    ends_at: datetime
    leads: Leads

    trigger = "extend"


@value
class RunAutomation:
    """A timer says that an automation is due. One of an older schedule version changes nothing."""

    kind: AutomationKind
    schedule_version: int

    @property
    def trigger(self) -> str:
        """The trigger in the table: it is named like the automation."""
        return self.kind.value


Command = SendMessage | EndSession | Cancel | Reschedule | Reassign | Extend | RunAutomation
