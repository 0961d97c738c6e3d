"""Events, as lines on the screen, and what to expect after each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from rdchat.events import channels
from statemachine import AutomationKind
from statemachine.effects import StatusEvent

if TYPE_CHECKING:
    from rdchat.local.demo.appointment import Appointment
    from rdchat.local.demo.evidence import Heard, Trial
    from rdchat.local.demo.screen import Screen

_NEWS: Final = {
    StatusEvent.CHAT_ENABLED: "the chat is open for both",
    StatusEvent.ENDING_SOON: "end warning: both see the end button",
    StatusEvent.COMPLETED: "the session is completed, the chat is closed",
}
_NEXT: Final = {
    StatusEvent.CHAT_ENABLED: AutomationKind.END_WARNING,
    StatusEvent.ENDING_SOON: AutomationKind.AUTO_END,
}
_EXPECTED: Final = {
    AutomationKind.INITIAL_MESSAGE: "the first automated message",
    AutomationKind.ENABLE_CHAT: "the chat opens",
    AutomationKind.END_WARNING: "the end warning",
    AutomationKind.AUTO_END: "the session ends",
}


class Feed:
    """Shows the events of one session."""

    def __init__(self, screen: Screen, appointment: Appointment, names: dict[str, str]) -> None:
        self._screen = screen
        self._due = appointment.due
        self._names = names

    def expect(self, kind: AutomationKind) -> None:
        """Show which automation comes next."""
        self._screen.expect(_EXPECTED[kind], self._due[kind])

    def tried(self, trial: Trial) -> None:
        """Show an attempt and what came of it."""
        as_expected = trial.came == trial.expected
        text = Text.assemble(f"{trial.what} → ", (trial.came, "bold"))
        self._screen.note(
            text, mark="✓" if as_expected else "✗", style="yellow" if as_expected else "bold red"
        )

    def chat(self, heard: Heard) -> None:
        """Show what the client hears; both hear the same, so one of them is enough to watch."""
        data = heard.data
        if heard.name == channels.MESSAGE:
            self._spoken(heard)
        elif heard.name == channels.SESSION_STATUS:
            status = data["status"]
            self._screen.note(_NEWS.get(status, status), mark="◆", style="cyan")
            if status in _NEXT:
                self.expect(_NEXT[status])
        elif heard.name == channels.TYPING:
            name = self._names.get(str(heard.client_id), "Someone")
            self._screen.typing(name, is_typing=data["isTyping"])

    def notification(self, heard: Heard) -> None:
        """Show what reaches the psychologist on their own channel; the client is told the like."""
        if heard.name == channels.NOTIFICATION:
            text = f"notification to the psychologist: {heard.data['message']}"
            self._screen.note(text, mark="◆", style="cyan")

    def _spoken(self, heard: Heard) -> None:
        data = heard.data
        automated = " (automated)" if data["isAutomated"] else ""
        name_style = "bold magenta" if data["isAutomated"] else "bold"
        text = Text.assemble((f"{data['senderName']}{automated}: ", name_style), data["content"])
        self._screen.note(text, mark="▸", style="magenta" if data["isAutomated"] else "")
        if data["seq"] == 1:
            self.expect(AutomationKind.ENABLE_CHAT)
