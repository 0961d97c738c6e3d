"""Values: dataclasses that are never changed once they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def value(cls: type[T]) -> type[T]:
    """Make a class a value: what the type checker takes for frozen, although it is not when the program runs.

    `frozen=True` has `__init__` set each field through `object.__setattr__`, which takes three times as long,
    and a message on its way is eight values.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
