"""Signing in on the embedded default: as one of a few people who are always the same, and without a password.

`GET /app/people` lists them, `POST /app/sign-in` gives a token of one of them, and `POST /app/rehearsal`
books a short session that starts in a moment, between two of whom it gives the tokens.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from marshmallow import Schema, fields

from handlers.http.envelope import REQUEST_ID
from handlers.http.incoming import Incoming
from handlers.http.json_answers import success
from handlers.http.protocol import expect
from handlers.http.reading import load_body, load_query
from handlers.pages.same_machine import check_same_machine
from rdchat.common.clock import iso
from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.local.people import HOURS, PEOPLE, new_client

if TYPE_CHECKING:
    from uuid import UUID

    from aiohttp import web

    from rdchat.domain.person import Caller
    from rdchat.runtime import Runtime

_LIFETIME: Final = timedelta(hours=1)
_BY_ID: Final = {one.id: one for one in PEOPLE}


class SignInRequest(Schema):
    """Who to be."""

    person_id = fields.UUID(required=True, data_key="personId")


class NoFields(Schema):
    """A body without anything in it."""


def register_sign_in(app: web.Application, runtime: Runtime) -> None:
    """Put the routes into an application whose service may give out tokens."""
    sign_in_form, no_form = SignInRequest(), NoFields()

    async def list_people(request: web.Request) -> web.StreamResponse:
        check_same_machine(request)
        load_query(None, _incoming(request))
        await introduce_people(runtime)
        return success([person_json(one) for one in PEOPLE], "People retrieved successfully").as_response()

    async def sign_in(request: web.Request) -> web.StreamResponse:
        check_same_machine(request)
        asked = await load_body(sign_in_form, sign_in_form.load, _incoming(request))
        person: Caller | None = _BY_ID.get(asked["person_id"])
        if person is None:
            raise RdchatError(ErrorCode.NOT_FOUND, "Person not found")
        await introduce_people(runtime)
        return success(signed_in(runtime, person), "Signed in successfully").as_response()

    async def rehearse(request: web.Request) -> web.StreamResponse:
        check_same_machine(request)
        await load_body(no_form, no_form.load, _incoming(request))
        await introduce_people(runtime)
        client = new_client()
        booked = await runtime.rehearsals.book(client, list(HOURS))
        answer = {
            "sessionId": str(booked.session_id),
            "counselingId": str(booked.id),
            "startsAt": iso(booked.slot.starts_at),
            "endsAt": iso(booked.slot.ends_at),
            "client": signed_in(runtime, client),
            "psychologist": signed_in(runtime, _BY_ID[booked.psychologist_id]),
        }
        return success(answer, "Rehearsal booked successfully", 201).as_response()

    app.router.add_get("/app/people", list_people)
    app.router.add_post("/app/sign-in", sign_in, expect_handler=expect)
    app.router.add_post("/app/rehearsal", rehearse, expect_handler=expect)


async def introduce_people(runtime: Runtime, *, beside_others: bool = True) -> None:
    """See that the psychologists can be booked; what was changed of them stays.

    With `beside_others` False, only where there are none yet.
    """
    newcomers = ((_BY_ID[one].full_name, one, hours) for one, hours in HOURS.items())
    await runtime.psychologists.introduce(newcomers, beside_others=beside_others)


def person_json(person: Caller) -> dict[str, Any]:
    """Show a person. `organizationId` is null for those who belong to none."""
    return {
        "id": str(person.id),
        "role": person.role.value,
        "fullName": person.full_name,
        "organizationId": _text(person.organization_id),
        "timezone": person.timezone,
    }


def signed_in(runtime: Runtime, person: Caller) -> dict[str, Any]:
    """Show a person with a token of theirs, and until when it is good."""
    return {
        "person": person_json(person),
        "token": runtime.tokens.issue(person, lifetime=_LIFETIME),
        "expiresAt": iso(runtime.clock.now() + _LIFETIME),
    }


def _text(one: UUID | None) -> str | None:
    return str(one) if one is not None else None


def _incoming(request: web.Request) -> Incoming:
    return Incoming.of(request, request[REQUEST_ID])
