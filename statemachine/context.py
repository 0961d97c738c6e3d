"""The context of one transition: what guards read and actions write. It lives for a single step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from statemachine.commands import Command
    from statemachine.decision import RefusalCode
    from statemachine.effects import Effect
    from statemachine.session import Session


@dataclass(slots=True)
class TransitionContext:
    """The draft of a session, the command and the instant; effects and a refusal are the result."""

    session: Session
    command: Command
    now: datetime
    effects: list[Effect] = field(default_factory=list)
    refusal: RefusalCode | None = None
