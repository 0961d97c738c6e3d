"""The rules of who may do what: every role is admitted where it is named, and nowhere else."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, cast
from uuid import UUID, uuid4

import pytest

from handlers.http.routing import Answer, Call, Route
from handlers.server.application import ROUTES
from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.domain import permissions
from rdchat.domain.person import Caller, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
CLIENT, STUDENT, EMPLOYEE = Role.CLIENT, Role.STUDENT, Role.EMPLOYEE
PSYCHOLOGIST, SUPERVISOR, SUPER_ADMIN = Role.PSYCHOLOGIST, Role.SUPERVISOR, Role.SUPER_ADMIN
OURS, THEIRS = uuid4(), uuid4()
#: Written out here once more: a change that adds a role, or admits one, says so in both places.
NAMED = {
    "CLIENTS": {CLIENT, STUDENT, EMPLOYEE},
    "PSYCHOLOGISTS": {PSYCHOLOGIST},
    "SUPERVISORS": {SUPERVISOR},
    "ADMINISTRATORS": {SUPER_ADMIN},
    "OVERSEERS": {SUPERVISOR, SUPER_ADMIN},
    "REASSIGNERS": {PSYCHOLOGIST, SUPERVISOR, SUPER_ADMIN},
    "EVERYONE_SIGNED_IN": {CLIENT, STUDENT, EMPLOYEE, PSYCHOLOGIST, SUPERVISOR, SUPER_ADMIN},
    "BOOKERS": {CLIENT, STUDENT, EMPLOYEE, SUPER_ADMIN},
    "KEEPERS_OF_HOURS": {PSYCHOLOGIST, SUPER_ADMIN},
    "NO_ROLE": set(),
}
SETS = {name: value for name, value in vars(permissions).items() if isinstance(value, frozenset)}


class LaterRole(StrEnum):
    """A role that may come one day."""

    AUDITOR = "auditor"


@dataclass(frozen=True)
class Meeting:
    """Something that two people have part in."""

    participants: tuple[UUID, UUID]
    organization_id: UUID | None = None


def caller(role: Role, person_id: UUID | None = None, organization_id: UUID | None = None) -> Caller:
    return Caller(person_id or uuid4(), role, "Orang", organization_id=organization_id)


def newcomer() -> Caller:
    return caller(cast("Role", LaterRole.AUDITOR))


def test_every_set_is_what_its_name_says() -> None:
    assert SETS == NAMED


def test_a_role_that_is_named_nowhere_is_admitted_nowhere() -> None:
    stranger, shared = newcomer(), Meeting((uuid4(), uuid4()), OURS)
    member = replace(stranger, organization_id=OURS)
    assert not [name for name, admitted in SETS.items() if stranger.role in admitted]
    assert not [route.path for route in ROUTES if stranger.role in route.roles]
    for rule in (
        permissions.may_read_content,
        permissions.may_see_state,
        permissions.may_change_counseling,
        permissions.may_reassign,
        permissions.may_extend,
    ):
        assert not rule(member, shared)
    assert not permissions.may_reassign(stranger, Meeting((uuid4(), stranger.id)))
    assert not permissions.is_overseer(member)
    assert not permissions.oversees_anything(member)
    assert not permissions.may_manage_psychologists(stranger)
    assert not permissions.may_change_hours(stranger, stranger.id), "an id alone makes no one a psychologist"
    assert permissions.acting_participant(stranger) == stranger.id


def test_no_set_of_roles_is_made_from_all_that_there_are() -> None:
    """`frozenset(Role)` and its like would admit every later role."""
    assert sorted(takings_of_every_role(ast.parse("x = {r for r in Role}\ny = frozenset(Role)"))) == [1, 2]
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for folder in ("handlers", "rdchat")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in takings_of_every_role(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


def takings_of_every_role(tree: ast.AST) -> Iterator[int]:
    def is_role(node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id == "Role"

    for node in ast.walk(tree):
        match node:
            case ast.comprehension(iter=taken) | ast.Starred(value=taken) if is_role(taken):
                yield taken.lineno
            case ast.Call(args=given) if any(is_role(one) for one in given):
                yield node.lineno


def test_routes_take_their_roles_from_the_permissions() -> None:
    assert [route.path for route in ROUTES if not any(route.roles is one for one in SETS.values())] == []


async def _handler(_call: Call) -> Answer:
    raise NotImplementedError


def _route(**values: object) -> Route:
    given = {"method": "GET", "path": "/x", "handler": _handler, "summary": "", "tag": "", "done": ""}
    return Route(**(given | values))  # type: ignore[arg-type]


def test_a_route_without_roles_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="roles"):
        _route()
    with pytest.raises(ValueError, match="name roles or be public"):
        _route(roles=permissions.NO_ROLE)
    with pytest.raises(ValueError, match="name roles or be public"):
        _route(roles=permissions.EVERYONE_SIGNED_IN, public=True)
    assert _route(roles=permissions.NO_ROLE, public=True).public


@pytest.mark.parametrize("role", Role)
def test_content_is_for_participants_whatever_they_are(role: Role) -> None:
    person = caller(role)
    mine, others = Meeting((person.id, uuid4())), Meeting((uuid4(), uuid4()))
    for rule in (permissions.may_read_content, permissions.may_extend):
        assert rule(person, mine)
        assert not rule(person, others)


@pytest.mark.parametrize("role", Role)
def test_state_is_for_participants_and_those_who_oversee(role: Role) -> None:
    person = caller(role, organization_id=OURS)
    mine, others = Meeting((uuid4(), person.id)), Meeting((uuid4(), uuid4()))
    for rule in (permissions.may_see_state, permissions.may_change_counseling):
        assert rule(person, mine)
        assert rule(person, others) == (role is SUPER_ADMIN)
    ours, theirs = (replace(others, organization_id=one) for one in (OURS, THEIRS))
    assert permissions.may_see_state(person, ours) == (role in {SUPERVISOR, SUPER_ADMIN})
    assert permissions.may_see_state(person, theirs) == (role is SUPER_ADMIN)
    assert permissions.may_change_counseling(person, ours) == (role is SUPER_ADMIN)


@pytest.mark.parametrize("role", Role)
def test_who_gives_a_counselling_to_another(role: Role) -> None:
    person = caller(role, organization_id=OURS)
    assert permissions.may_reassign(person, Meeting((uuid4(), person.id), THEIRS)) == (
        role in {PSYCHOLOGIST, SUPER_ADMIN}
    )
    assert permissions.may_reassign(person, Meeting((person.id, uuid4()), THEIRS)) == (role is SUPER_ADMIN)
    assert permissions.may_reassign(person, Meeting((uuid4(), uuid4()), OURS)) == (
        role in {SUPERVISOR, SUPER_ADMIN}
    )


@pytest.mark.parametrize("role", Role)
def test_which_organisations_one_oversees(role: Role) -> None:
    """No organisation is none: counsellings without one are not those of a supervisor without one."""
    with_one, without = caller(role, organization_id=OURS), caller(role)
    is_admin, is_supervisor = role is SUPER_ADMIN, role is SUPERVISOR
    assert permissions.is_overseer(with_one) == (is_admin or is_supervisor)
    assert permissions.oversees_anything(with_one) == (is_admin or is_supervisor)
    assert permissions.oversees_anything(without) == is_admin
    for person, asked, expected in (
        (with_one, OURS, OURS if is_admin or is_supervisor else None),
        (with_one, THEIRS, THEIRS if is_admin else None),
        (without, THEIRS, THEIRS if is_admin else None),
        (with_one, None, OURS if is_supervisor else None),
        (without, None, None),
    ):
        assert permissions.oversees(person, asked) == (
            is_admin or (expected is not None and asked is not None)
        )
        if is_admin or expected is not None:
            assert permissions.overseen_organization(person, asked) == expected
        else:
            with pytest.raises(RdchatError) as refused:
                permissions.overseen_organization(person, asked)
            assert refused.value.code is ErrorCode.FORBIDDEN


@pytest.mark.parametrize("role", Role)
def test_what_administrators_may_and_others_may_not(role: Role) -> None:
    person = caller(role)
    is_admin = role is SUPER_ADMIN
    assert permissions.may_manage_psychologists(person) == is_admin
    assert permissions.may_stop_people(person) == is_admin
    assert permissions.may_change_hours(person, uuid4()) == is_admin
    assert permissions.may_change_hours(person, person.id) == (role in {PSYCHOLOGIST, SUPER_ADMIN})
    assert permissions.acting_participant(person) == (None if is_admin else person.id)
