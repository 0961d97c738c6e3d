"""How a setting is declared: one row with everything that is said about it anywhere.

The row travels in the metadata of a dataclass's field, so that the field's type stays the type of its value.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Unpack

T = TypeVar("T")

PREFIX: Final = "RDCHAT_"
_ROW: Final = "row"


class Words(TypedDict, total=False):
    """The optional parts of a row."""

    section: str
    details: str
    unit: str
    unset: str
    example: str
    secret: bool
    command: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingRow:
    """One setting.

    `meaning` is one line for every listing; variables and values in it stand in backticks. `details` go into
    the example file as well. `section` is the heading of the rows from this one on. `unset` is shown where
    the default is none, or too long; `example` stands in the example file where there is no default. A
    `secret` is never shown, and can come from a file, with `command` also from what a command prints; one
    that `is_generated` is made for development where it is unset.
    """

    name: str
    parse: Callable[[str], Any]
    default: str | None
    meaning: str
    section: str = ""
    details: str = ""
    unit: str = ""
    unset: str = ""
    example: str = ""
    secret: bool = False
    command: bool = False
    is_generated: bool = False

    @property
    def variable(self) -> str:
        """The variable in the environment."""
        return PREFIX + self.name

    @property
    def file_variable(self) -> str | None:
        """The variable that names a file with the value, if there is one."""
        return f"{self.variable}_FILE" if self.secret else None

    @property
    def command_variable(self) -> str | None:
        """The variable that holds a command which prints the value, if there is one."""
        return f"{self.variable}_COMMAND" if self.command else None

    @property
    def variables(self) -> list[str]:
        """Every variable that this setting is read from."""
        return [self.variable, *filter(None, [self.file_variable, self.command_variable])]

    @property
    def value_unset(self) -> Any:  # noqa: ANN401 - of the type that `parse` returns
        """The value where the setting is not set."""
        return None if self.default is None else self.parse(self.default)


def setting(name: str, parse: Callable[[str], T], default: str, meaning: str, **words: Unpack[Words]) -> T:
    """Declare a setting with a default, written as in the environment. An empty one stands for "none"."""
    row = SettingRow(name=name, parse=parse, default=default, meaning=meaning, **words)
    return field(default_factory=partial(parse, default), repr=not row.secret, metadata={_ROW: row})


def optional(name: str, parse: Callable[[str], T], meaning: str, **words: Unpack[Words]) -> T | None:
    """Declare a setting that is None unless it is set."""
    row = SettingRow(name=name, parse=parse, default=None, meaning=meaning, **words)
    return field(default=None, repr=not row.secret, metadata={_ROW: row})


def generated(name: str, parse: Callable[[str], T], meaning: str, **words: Unpack[Words]) -> T:
    """Declare a secret that is made for development where it is unset. Its field has no default."""
    words["secret"] = True
    row = SettingRow(name=name, parse=parse, default=None, meaning=meaning, is_generated=True, **words)
    made: T = field(repr=False, metadata={_ROW: row})
    return made


def rows_of(table: type) -> dict[str, SettingRow]:
    """List the rows of a dataclass, by the names of their fields."""
    return {one.name: one.metadata[_ROW] for one in fields(table) if _ROW in one.metadata}
