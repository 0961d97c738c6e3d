"""The file of RDCHAT_ORGANIZATIONS: language, texts, crisis contacts, retention, of all or one organisation.

`organizations.example.toml` shows its form. It is read once, at the start, and everything that is wrong with
it is reported then; a text that was accepted can always be sent.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from config.contacts import MOST_CONTACTS, CrisisContact, read_contact
from config.templates import Template, parse
from config.texts import KINDS, LANGUAGES, automated_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

#: (language, kind)
_Key = tuple[str, str]

_BUILT_IN: Final[Mapping[_Key, Template]] = {
    (language, kind): Template.literal(automated_text(kind, language))
    for language in LANGUAGES
    for kind in KINDS
}
_KNOWN: Final = ("language", "texts", "crisis_contacts", "retention_days")
#: A century: what is to be kept for longer is kept.
_LONGEST_RETENTION: Final = 36_525


@dataclass(frozen=True, slots=True)
class Organization:
    """What one organisation has chosen. `language`: of its sessions, unless a booking names one.

    `retention_days`: for how long after its end what was said in a session is kept.
    """

    language: str | None = None
    templates: Mapping[_Key, Template] = field(default_factory=dict)
    crisis_contacts: tuple[CrisisContact, ...] = ()
    retention_days: int | None = None


@dataclass(frozen=True, slots=True)
class Organizations:
    """What differs between organisations: their own, else the file's default, else what is built in."""

    default: Organization = field(default_factory=Organization)
    of: Mapping[UUID, Organization] = field(default_factory=dict)

    def template(self, kind: str, language: str, organization_id: UUID | None) -> Template:
        """Return the text of an automation. Raise KeyError when it says nothing."""
        key = language, kind
        return (
            self._own(organization_id).templates.get(key) or self.default.templates.get(key) or _BUILT_IN[key]
        )

    def language_of(self, organization_id: UUID | None) -> str | None:
        """Return the language that an organisation has chosen for its sessions, if it has."""
        return self._own(organization_id).language

    def crisis_contacts(self, organization_id: UUID | None) -> tuple[CrisisContact, ...]:
        """List whom people of an organisation can turn to: its own contacts, else those for all."""
        return self._own(organization_id).crisis_contacts or self.default.crisis_contacts

    def retention(self) -> tuple[int | None, dict[UUID, int]]:
        """Return the days for which what was said is kept: of all, and of organisations with their own."""
        own = {one: chosen.retention_days for one, chosen in self.of.items()}
        return self.default.retention_days, {one: days for one, days in own.items() if days is not None}

    def _own(self, organization_id: UUID | None) -> Organization:
        found = self.of.get(organization_id) if organization_id is not None else None
        return self.default if found is None else found


def read(path: Path | None) -> tuple[Organizations, list[str]]:
    """Read the file, if there is one. Return what it says, and what is wrong with it, one sentence each."""
    if path is None:
        return Organizations(), []
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        return Organizations(), [f"{path} cannot be read: {error.strerror}."]
    except (ValueError, RecursionError) as error:  # not UTF-8, or not TOML, or nested beyond reason
        return Organizations(), [f"{path} is no TOML file: {error}."]
    reader = _Reader()
    organizations = reader.organizations(content)
    return organizations, [f"{path}: {fault}" for fault in reader.faults]


class _Reader:
    """Reads the file's contents, collecting `faults` on the way."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def organizations(self, content: dict[str, Any]) -> Organizations:
        for name in content.keys() - {"default", "organization"}:
            self._fault((name,), "Unknown; there are default and organization.")
        default = self._organization(("default",), content.get("default", {}))
        if default.language is not None:
            self._fault(("default", "language"), "Is set by RDCHAT_LANGUAGE.")
        of: dict[UUID, Organization] = {}
        for name, table in self._table(("organization",), content.get("organization", {})):
            place = "organization", name
            organization_id = _id(name)
            if organization_id is None:
                self._fault(place, "Must be a UUID, as in the claim organizationId.")
            elif organization_id in of:
                self._fault(place, "Is there twice.")
            own = self._organization(place, table)
            if organization_id is not None:
                of[organization_id] = own
        return Organizations(default, of)

    def _organization(self, place: tuple[str, ...], table: object) -> Organization:
        language = None
        templates: dict[_Key, Template] = {}
        contacts: tuple[CrisisContact, ...] = ()
        retention_days: int | None = None
        for name, value in self._table(place, table):
            here = *place, name
            if name == "language":
                language = value if isinstance(value, str) else ""
                if language not in LANGUAGES:
                    self._fault(here, f"Must be one of {', '.join(LANGUAGES)}.")
            elif name == "texts":
                templates = self._texts(here, value)
            elif name == "crisis_contacts":
                contacts = self._contacts(here, value)
            elif name == "retention_days":
                # A bool is an int as well.
                if type(value) is int and 1 <= value <= _LONGEST_RETENTION:
                    retention_days = value
                else:
                    self._fault(here, f"Must be a whole number of days, from 1 to {_LONGEST_RETENTION}.")
            else:
                self._fault(here, f"Unknown; there are {', '.join(_KNOWN)}.")
        return Organization(language, templates, contacts, retention_days)

    def _texts(self, place: tuple[str, ...], table: object) -> dict[_Key, Template]:
        found: dict[_Key, Template] = {}
        for name, value in self._table(place, table):
            here = *place, name
            if name in LANGUAGES:
                found |= {(name, kind): one for kind, one in self._templates(here, value)}
            else:
                self._fault(here, f"Unknown language; there are {', '.join(LANGUAGES)}.")
        return found

    def _templates(self, place: tuple[str, ...], table: object) -> Iterator[tuple[str, Template]]:
        for kind, text in self._table(place, table):
            here = *place, kind
            if kind not in KINDS:
                self._fault(here, f"Unknown text; there are {', '.join(KINDS)}.")
            if not isinstance(text, str):
                self._fault(here, "Must be a text.")
                continue
            template, faults = parse(text)
            for fault in faults:
                self._fault(here, fault)
            if template is not None:
                yield kind, template

    def _contacts(self, place: tuple[str, ...], value: object) -> tuple[CrisisContact, ...]:
        if not isinstance(value, list):
            self._fault(place, "Must be a list of tables.")
            return ()
        if len(value) > MOST_CONTACTS:
            self._fault(place, f"Must be at most {MOST_CONTACTS}.")
        found = []
        for number, table in enumerate(value, start=1):
            head = *place, str(number)
            contact = read_contact(table, partial(self._fault_within, head))
            if contact is not None:
                found.append(contact)
        return tuple(found)

    def _table(self, place: tuple[str, ...], table: object) -> Iterator[tuple[str, Any]]:
        if isinstance(table, dict):
            yield from table.items()
        else:
            self._fault(place, "Must be a table.")

    def _fault_within(self, head: tuple[str, ...], place: tuple[str, ...], sentence: str) -> None:
        self._fault((*head, *place), sentence)

    def _fault(self, place: tuple[str, ...], sentence: str) -> None:
        self.faults.append(f"{'.'.join(place)}: {sentence}")


def _id(name: str) -> UUID | None:
    try:
        found = UUID(name)
    except ValueError:
        return None
    # UUID() reads other forms as well; tokens have this one, and it is the one to search the file for.
    return found if str(found) == name.lower() else None
