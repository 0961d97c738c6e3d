"""Who may do what. Routes take their roles from here, services ask the predicates.

Every set is made from roles that are written out: a role that is added to `Role` is admitted nowhere until it
is named here. What depends on the state of a session as well is in `statemachine/guards.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from rdchat.domain.person import Role

if TYPE_CHECKING:
    from uuid import UUID

    from rdchat.domain.person import Caller

# ---- by role ----------------------------------------------------------------------------------------------

CLIENTS: Final = frozenset({Role.CLIENT, Role.STUDENT, Role.EMPLOYEE})
PSYCHOLOGISTS: Final = frozenset({Role.PSYCHOLOGIST})
ADMINISTRATORS: Final = frozenset({Role.SUPER_ADMIN})
EVERYONE_SIGNED_IN: Final = CLIENTS | PSYCHOLOGISTS | ADMINISTRATORS
#: Those who book; an administrator books as a client of their own.
BOOKERS: Final = CLIENTS | ADMINISTRATORS
#: Those who change working hours. Whose hours: see `may_change_hours`.
KEEPERS_OF_HOURS: Final = PSYCHOLOGISTS | ADMINISTRATORS
#: A route without a token admits no role at all: something else says who may.
NO_ROLE: Final[frozenset[Role]] = frozenset()


# ---- by person --------------------------------------------------------------------------------------------


class Shared(Protocol):
    """Something that two people have part in: a counselling, its session, a file that was sent there."""

    @property
    def participants(self) -> tuple[UUID, UUID]:
        """The client and the psychologist."""
        ...


def takes_part(person_id: UUID, shared: Shared) -> bool:
    """Return whether a person is one of the two."""
    return person_id in shared.participants


def may_read_content(caller: Caller, shared: Shared) -> bool:
    """Tell whether a caller may read what is said in confidence: messages, files, notes, why one cancels.

    Only the two participants may, so administrators may not.
    """
    return takes_part(caller.id, shared)


def may_see_state(caller: Caller, shared: Shared) -> bool:
    """Tell whether a caller may see how a session stands and what happened to it, without what was said."""
    return is_administrator(caller) or takes_part(caller.id, shared)


def may_see_counseling(caller: Caller, counseling: Shared) -> bool:
    """Tell whether a caller may look at a counselling, and try to move or cancel it."""
    return is_administrator(caller) or takes_part(caller.id, counseling)


def may_extend(caller: Caller, session: Shared) -> bool:
    """Tell whether a caller may try to extend a session; that it is the psychologist, its guard sees to."""
    return takes_part(caller.id, session)


def may_manage_psychologists(caller: Caller) -> bool:
    """Tell whether a caller may create and change psychologists."""
    return is_administrator(caller)


def may_change_hours(caller: Caller, psychologist_id: UUID) -> bool:
    """Tell whether a caller may change a psychologist's working hours: their own, administrators any."""
    return is_administrator(caller) or (caller.role in KEEPERS_OF_HOURS and caller.id == psychologist_id)


def acting_participant(caller: Caller) -> UUID | None:
    """Return who acts on a counselling, for its guards; None for an administrator, who need not take part."""
    return None if is_administrator(caller) else caller.id


def is_client(caller: Caller) -> bool:
    """Tell whether a caller is bound by the rules for clients; an administrator never is."""
    return caller.role in CLIENTS


def is_administrator(caller: Caller) -> bool:
    """Tell whether a caller runs the service."""
    return caller.role in ADMINISTRATORS
