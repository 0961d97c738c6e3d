"""Who may do what. Routes take their roles from here, services ask the predicates.

Every set is made from roles that are written out: a role that is added to `Role` is admitted nowhere until it
is named here. What depends on the state of a session as well is in `statemachine/guards.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.domain.person import Role

if TYPE_CHECKING:
    from uuid import UUID

    from rdchat.domain.person import Caller

# ---- by role ----------------------------------------------------------------------------------------------

CLIENTS: Final = frozenset({Role.CLIENT, Role.STUDENT, Role.EMPLOYEE})
PSYCHOLOGISTS: Final = frozenset({Role.PSYCHOLOGIST})
SUPERVISORS: Final = frozenset({Role.SUPERVISOR})
ADMINISTRATORS: Final = frozenset({Role.SUPER_ADMIN})
EVERYONE_SIGNED_IN: Final = CLIENTS | PSYCHOLOGISTS | SUPERVISORS | ADMINISTRATORS
#: Those who see how counsellings stand that are not their own. Which ones: see `overseen_organization`.
OVERSEERS: Final = SUPERVISORS | ADMINISTRATORS
#: Those who give a counselling to another psychologist. Which ones: see `may_reassign`.
REASSIGNERS: Final = PSYCHOLOGISTS | OVERSEERS
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


class Overseen(Shared, Protocol):
    """Something that two people have part in, and whose numbers an organisation may see."""

    @property
    def organization_id(self) -> UUID | None:
        """The organisation whose member the client was when they booked."""
        ...


def takes_part(person_id: UUID, shared: Shared) -> bool:
    """Return whether a person is one of the two."""
    return person_id in shared.participants


def may_read_content(caller: Caller, shared: Shared) -> bool:
    """Tell whether a caller may read what is said in confidence: messages, files, notes, why one cancels.

    Only the two participants may, so administrators and supervisors may not.
    """
    return takes_part(caller.id, shared)


def may_see_state(caller: Caller, shared: Overseen) -> bool:
    """Tell whether a caller may see how something stands and what happened to it, without what was said."""
    return oversees(caller, shared.organization_id) or takes_part(caller.id, shared)


def may_change_counseling(caller: Caller, counseling: Shared) -> bool:
    """Tell whether a caller may try to move or cancel a counselling."""
    return is_administrator(caller) or takes_part(caller.id, counseling)


def may_reassign(caller: Caller, counseling: Overseen) -> bool:
    """Tell whether a caller may give a counselling to another psychologist: the one who has it, or overseers.

    A supervisor's are those of their organisation.
    """
    if caller.role in PSYCHOLOGISTS:
        return caller.id == counseling.participants[1]
    return oversees(caller, counseling.organization_id)


def may_extend(caller: Caller, session: Shared) -> bool:
    """Tell whether a caller may try to extend a session; that it is the psychologist, its guard sees to."""
    return takes_part(caller.id, session)


def may_manage_psychologists(caller: Caller) -> bool:
    """Tell whether a caller may create and change psychologists."""
    return is_administrator(caller)


def may_stop_people(caller: Caller) -> bool:
    """Tell whether a caller may deactivate people, fix their roles and revoke their tokens."""
    return is_administrator(caller)


def may_change_hours(caller: Caller, psychologist_id: UUID) -> bool:
    """Tell whether a caller may change a psychologist's working hours: their own, administrators any."""
    return is_administrator(caller) or (caller.role in KEEPERS_OF_HOURS and caller.id == psychologist_id)


def acting_participant(caller: Caller) -> UUID | None:
    """Return who acts on a counselling, for its guards; None for an administrator, who need not take part."""
    return None if is_administrator(caller) else caller.id


def is_overseer(caller: Caller) -> bool:
    """Tell whether lists show a caller the counsellings of others."""
    return caller.role in OVERSEERS


def oversees(caller: Caller, organization_id: UUID | None) -> bool:
    """Tell whether a caller sees how the counsellings of an organisation stand; None: those of none.

    Supervisors see those of their own; one whose token names no organisation sees nothing.
    """
    if is_administrator(caller):
        return True
    return (
        caller.role in SUPERVISORS
        and organization_id is not None
        and organization_id == caller.organization_id
    )


def oversees_anything(caller: Caller) -> bool:
    """Tell whether a caller oversees anything: a supervisor's token may name no organisation."""
    return is_administrator(caller) or oversees(caller, caller.organization_id)


def overseen_organization(caller: Caller, asked: UUID | None) -> UUID | None:
    """Return the organisation that a list or a report is about; None, for administrators alone: any.

    Raise RdchatError (FORBIDDEN) unless the caller oversees it.
    """
    organization_id = asked if asked is not None or is_administrator(caller) else caller.organization_id
    if not oversees(caller, organization_id):
        raise RdchatError(ErrorCode.FORBIDDEN)
    return organization_id


def acting_psychologist(caller: Caller) -> UUID | None:
    """Return who hands a session over, for its guards; None for those who do it because they oversee it."""
    return None if is_overseer(caller) else caller.id


def is_client(caller: Caller) -> bool:
    """Tell whether a caller is bound by the rules for clients; an administrator never is."""
    return caller.role in CLIENTS


def is_administrator(caller: Caller) -> bool:
    """Tell whether a caller runs the service."""
    return caller.role in ADMINISTRATORS
