"""The command line answers at once: each command imports what it needs, and help needs next to nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rdchat.domain.audit import AuditKind
from rdchat.domain.person import Role
from run import AUDIT_KINDS, AUTOMATIONS, ROLES
from statemachine import AutomationKind

ROOT = Path(__file__).parents[2]
_LOADED = """
import sys, run
own = {"config", "handlers", "rdchat", "statemachine", "aiohttp", "asyncpg", "redis"}
print(*sorted(name for name in sys.modules if name.partition(".")[0] in own))
"""


def test_what_may_be_chosen_is_all_there_is() -> None:
    assert list(ROLES) == list(Role)
    assert list(AUTOMATIONS) == list(AutomationKind)
    assert list(AUDIT_KINDS) == list(AuditKind)


def test_help_imports_nothing_of_the_service() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOADED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["rdchat"]
