"""How fast the script goes."""

from __future__ import annotations

from tests.support.soon import BESIDE_OTHERS

#: How long a second of the script is: beside other tests everything takes longer, and it has to be kept.
PACE = 2 if BESIDE_OTHERS else 1
