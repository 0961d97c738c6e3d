"""How fast the script goes."""

from __future__ import annotations

import os

#: How long a second of the script is: beside other tests everything takes longer, and it has to be kept.
PACE = 2 if "PYTEST_XDIST_WORKER" in os.environ else 1
