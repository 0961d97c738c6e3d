"""Every field of every route refuses what is wrong, in the envelope, and says which field it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from marshmallow import EXCLUDE

from handlers.server.application import ROUTES
from rdchat.domain.person import Role
from tests.support import spoken
from tests.support.bases import BASES, base_of, form, request_of
from tests.support.envelope import envelope_fault
from tests.support.invalid_requests import invalid_in_json, invalid_in_text

if TYPE_CHECKING:
    from marshmallow import Schema, fields

    from handlers.http.routing import Route
    from tests.support.service import Person, Reply, Service


def test_every_route_has_a_valid_request_and_every_valid_request_its_route() -> None:
    assert {route.operation for route in ROUTES} == set(BASES)


def declared(schema: type[Schema] | None) -> dict[str, fields.Field[Any]]:
    """List the fields of a schema by the names that callers use."""
    found = schema().fields if schema is not None else {}
    return {field.data_key or name: field for name, field in found.items()}


class Trial:
    """Sends requests to one route, and notes which were not refused as they should be."""

    def __init__(self, service: Service, route: Route) -> None:
        self.route = route
        self.faults: dict[str, str] = {}
        self.tried = 0
        # A public route admits no role: it looks at no token.
        role = Role.CLIENT if Role.CLIENT in route.roles else min(route.roles, default=Role.CLIENT)
        self._person: Person = service.person(role)
        self._path, self.options = request_of(route)

    async def send(self, **changes: Any) -> Reply:
        options = {**self.options, **changes}
        return await self._person.call(self.route.method, self._path, **options)

    async def refused(self, case: str, name: str, **changes: Any) -> None:
        """Check that a request is refused, and that `name` is blamed."""
        self.tried += 1
        reply = await self.send(**changes)
        fault = envelope_fault(reply)
        if fault is None and reply.json["code"] != "VALIDATION_FAILED":
            fault = f"let through: {reply.json['code']}"
        elif fault is None and set(reply.json["errors"]) != {name}:
            fault = f"blames {reply.json['errors']}"
        if fault is not None:
            self.faults[case[:80]] = fault


async def test_what_the_wrong_requests_are_made_from_is_not_wrong(service: Service) -> None:
    faults = {}
    for route in ROUTES:
        reply = await Trial(service, route).send()
        if reply.status == 400:
            faults[route.operation] = reply.json
    assert faults == {}


@spoken.ours_alone("the app names kinds of files that we do not; they are overlooked")
async def test_every_field_of_every_body(service: Service) -> None:
    faults = {}
    for route in ROUTES:
        if route.body is None:
            continue
        trial = Trial(service, route)
        if base_of(route).files:
            await _form_fields(trial)
        else:
            await _body_fields(trial)
        assert trial.tried, route.operation
        if trial.faults:
            faults[route.operation] = trial.faults
    assert faults == {}


async def _body_fields(trial: Trial) -> None:
    good = trial.options["json"]
    known = declared(trial.route.body)
    for name, field in known.items():
        for value in invalid_in_json(field, good.get(name)):
            await trial.refused(f"{name}={value!r}", name, json={**good, name: value})
        if field.required:
            without = {key: good[key] for key in good if key != name}
            await trial.refused(f"without {name}", name, json=without)
    for name in ("unknown", "__proto__", "", *_inner_names(trial.route)):
        await trial.refused(f"unknown {name!r}", name, json={**good, name: "x"})
    for whole in (True, 1, 1.5, "Halo", [], [good]):
        await trial.refused(f"body={whole!r}", "body", json=whole)


async def _form_fields(trial: Trial) -> None:
    base = base_of(trial.route)
    good = {name: value.replace("{session}", str(uuid4())) for name, value in (base.body or {}).items()}
    for name, field in declared(trial.route.body).items():
        if name in base.files:
            continue
        for value in invalid_in_text(field, in_form=True):
            await trial.refused(f"{name}={value!r}", name, data=form({**good, name: value}, base.files))
        if field.required:
            without = {key: good[key] for key in good if key != name}
            await trial.refused(f"without {name}", name, data=form(without, base.files))
    await trial.refused("unknown", "unknown", data=form({**good, "unknown": "x"}, base.files))
    for name in base.files:
        less = {key: file for key, file in base.files.items() if key != name}
        await trial.refused(f"without {name}", name, data=form(good, less))


def _inner_names(route: Route) -> list[str]:
    """List the names that fields have in the program, where callers use others."""
    found = route.body().fields if route.body is not None else {}
    return [name for name, field in found.items() if field.data_key not in (None, name)]


async def test_every_field_of_every_query(service: Service) -> None:
    faults = {}
    for route in ROUTES:
        trial = Trial(service, route)
        good = trial.options["params"]
        for name, field in declared(route.query).items():
            for value in invalid_in_text(field):
                await trial.refused(f"{name}={value!r}", name, params={**good, name: value})
            once = good.get(name, "1")
            twice = [*((key, good[key]) for key in good if key != name), (name, once), (name, once)]
            await trial.refused(f"{name} twice", name, params=twice)
            if field.required:
                without = {key: good[key] for key in good if key != name}
                await trial.refused(f"without {name}", name, params=without)
        if route.query is None or route.query().unknown != EXCLUDE:
            await trial.refused("unknown", "unknown", params={**good, "unknown": "x"})
        if trial.faults:
            faults[route.operation] = trial.faults
    assert faults == {}


async def test_an_id_in_a_path_that_is_none_does_not_exist(service: Service) -> None:
    faults = {}
    for route in (route for route in ROUTES if "{" in route.path):
        trial = Trial(service, route)
        for text in ("x", "1", "-1", "null", "true", "%00", "%ff", "..%2F..", "a" * 300, str(uuid4()) + "0"):
            trial._path = route.path.replace("{id}", text)  # noqa: SLF001 - the trial is ours
            reply = await trial.send()
            if envelope_fault(reply) or (reply.status, reply.code) != (404, "NOT_FOUND"):
                faults[f"{route.operation}: {text[:20]}"] = reply.json
    assert faults == {}
