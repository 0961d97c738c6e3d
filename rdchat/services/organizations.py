"""What people are to know of their organisation: its language, and whom to turn to in a crisis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config import CrisisContact, Organizations
    from rdchat.domain.person import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationService:
    """Organisations, for their people. Asks no store: it answers whatever else is away."""

    organizations: Organizations
    language: str

    def get_language(self, caller: Caller) -> str:
        """Return the language of the caller's sessions, unless a booking names another."""
        return self.organizations.language_of(caller.organization_id) or self.language

    def list_crisis_contacts(self, caller: Caller) -> Sequence[CrisisContact]:
        """List whom the caller can turn to at any time: those of their organisation, else those for all."""
        return self.organizations.crisis_contacts(caller.organization_id)

    def list_crisis_contacts_for_all(self) -> Sequence[CrisisContact]:
        """List those of no organisation in particular, for anyone."""
        return self.organizations.crisis_contacts(None)
