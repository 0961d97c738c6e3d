"""The file of RDCHAT_TEXTS: automated texts that an operator has changed, for all organisations or for one.

`texts.example.toml` shows its form. It is read once, at the start, and everything that is wrong with it is
reported then; a text that was accepted can always be sent.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

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


@dataclass(frozen=True, slots=True)
class OrganizationTexts:
    """What one organisation has chosen. `language`: of its sessions, unless a booking names one."""

    language: str | None = None
    templates: Mapping[_Key, Template] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Texts:
    """The automated texts: an organisation's own, else the file's defaults, else the built-in ones."""

    default: Mapping[_Key, Template] = field(default_factory=dict)
    organizations: Mapping[UUID, OrganizationTexts] = field(default_factory=dict)

    def template(self, kind: str, language: str, organization_id: UUID | None) -> Template:
        """Return the text of an automation. Raise KeyError when it says nothing."""
        key = language, kind
        own = self.organizations.get(organization_id) if organization_id is not None else None
        return (own.templates.get(key) if own else None) or self.default.get(key) or _BUILT_IN[key]

    def language_of(self, organization_id: UUID | None) -> str | None:
        """Return the language that an organisation has chosen for its sessions, if it has."""
        own = self.organizations.get(organization_id) if organization_id is not None else None
        return own.language if own else None


def read(path: Path | None) -> tuple[Texts, list[str]]:
    """Read the file, if there is one. Return the texts, and what is wrong with them, one sentence each."""
    if path is None:
        return Texts(), []
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        return Texts(), [f"RDCHAT_TEXTS: {path} cannot be read: {error.strerror}."]
    except ValueError as error:  # not UTF-8, or not TOML
        return Texts(), [f"RDCHAT_TEXTS: {path} is no TOML file: {error}."]
    reader = _Reader()
    texts = reader.texts(content)
    return texts, [f"RDCHAT_TEXTS: {path}: {fault}" for fault in reader.faults]


class _Reader:
    """Reads the file's contents, collecting `faults` on the way."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def texts(self, content: dict[str, Any]) -> Texts:
        for name in content.keys() - {"default", "organization"}:
            self._fault((name,), "Unknown; there are default and organization.")
        default = self._organization(("default",), content.get("default", {}))
        if default.language is not None:
            self._fault(("default", "language"), "Is set by RDCHAT_LANGUAGE.")
        organizations: dict[UUID, OrganizationTexts] = {}
        for name, table in self._table(("organization",), content.get("organization", {})):
            place = "organization", name
            organization_id = _id(name)
            if organization_id is None:
                self._fault(place, "Must be a UUID, as in the claim organizationId.")
            elif organization_id in organizations:
                self._fault(place, "Is there twice.")
            own = self._organization(place, table)
            if organization_id is not None:
                organizations[organization_id] = own
        return Texts(default.templates, organizations)

    def _organization(self, place: tuple[str, ...], table: object) -> OrganizationTexts:
        language = None
        templates: dict[_Key, Template] = {}
        for name, value in self._table(place, table):
            here = *place, name
            if name == "language":
                language = value if isinstance(value, str) else ""
                if language not in LANGUAGES:
                    self._fault(here, f"Must be one of {', '.join(LANGUAGES)}.")
            elif name in LANGUAGES:
                templates |= {(name, kind): one for kind, one in self._templates(here, value)}
            else:
                self._fault(here, f"Unknown language; there are {', '.join(LANGUAGES)}.")
        return OrganizationTexts(language, templates)

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

    def _table(self, place: tuple[str, ...], table: object) -> Iterator[tuple[str, Any]]:
        if isinstance(table, dict):
            yield from table.items()
        else:
            self._fault(place, "Must be a table.")

    def _fault(self, place: tuple[str, ...], sentence: str) -> None:
        self.faults.append(f"{'.'.join(place)}: {sentence}")


def _id(name: str) -> UUID | None:
    try:
        found = UUID(name)
    except ValueError:
        return None
    # UUID() reads other forms as well; tokens have this one, and it is the one to search the file for.
    return found if str(found) == name.lower() else None
