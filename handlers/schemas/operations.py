"""The shapes of errors, and of what those ask for who run the service."""

from __future__ import annotations

from marshmallow import fields, validate

from handlers.schemas.answers import AnswerSchema
from handlers.schemas.parts import BASE_URL, about, choice, number, text, yes_no
from rdchat.common.errors import ErrorCode


class ErrorAnswer(AnswerSchema):
    """The form of every error."""

    success = yes_no("success", "Always false.", example=False)
    message = text("message", "What went wrong, for people. It may be reworded.", "Validation failed")
    status_code = number("statusCode", "The status of the answer.", 400)
    code = choice(
        "code",
        "What went wrong, for programs. It stays.",
        ErrorCode,
        ErrorCode.VALIDATION_FAILED,
    )
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata=about(
            "What is wrong with each field. Only with `VALIDATION_FAILED`.",
            {"message": ["Must not be empty."]},
        ),
    )
    request_id = text(
        "requestId",
        "The id of the request, as in the header `X-Request-Id`.",
        "9f0c2e5b7a4d4c1e8b6f3a2d1c0e9f8a",
    )


def _for_operators(key: str, what: str, example: str) -> fields.String:
    return fields.String(
        data_key=key, metadata=about(f"{what}; told to those on the service's own machine.", example)
    )


class HomeAnswer(AnswerSchema):
    """Where everything is, as whole addresses."""

    name = text("name", "The program.", "rdchat")
    version = text("version", "Its version.", "1.0.0")
    api = text("api", "What the paths of the API are below.", f"{BASE_URL}/api/v1")
    documentation = _for_operators("documentation", "The API for people", f"{BASE_URL}/docs")
    openapi = text("openapi", "The API for programs.", f"{BASE_URL}/openapi.json")
    asyncapi = text("asyncapi", "The realtime events for programs.", f"{BASE_URL}/asyncapi.json")
    health = text("health", "Whether the process lives.", f"{BASE_URL}/healthz")
    ready = text("ready", "Whether it can serve.", f"{BASE_URL}/readyz")
    metrics = _for_operators("metrics", "Metrics for Prometheus", f"{BASE_URL}/metrics")
    tokens = text("tokens", "How to get a token, in words.", "From the identity provider.")


class HealthAnswer(AnswerSchema):
    """A sign of life."""

    status = choice("status", "That the process answers.", ("ok",))


class ReadyAnswer(AnswerSchema):
    """Whether a replica can serve."""

    status = choice(
        "status",
        "`draining`: about to stop. `unavailable`: without PostgreSQL, with late timers, or without keys to "
        "verify callers' tokens with.",
        ("ready", "draining", "unavailable"),
    )
    postgresql = fields.String(
        validate=validate.OneOf(("ok", "away")), metadata=about("PostgreSQL; left out while draining.")
    )
    redis = fields.String(
        validate=validate.OneOf(("ok", "away")),
        metadata=about("Redis; left out while draining. Without it everything works, only later."),
    )
    timers = fields.String(
        validate=validate.OneOf(("ok", "late")), metadata=about("Timers; left out while draining.")
    )
    key_set = fields.String(
        data_key="keySet",
        validate=validate.OneOf(("ok", "away")),
        metadata=about(
            "The identity provider's keys: `away` until they were fetched once, and when they could not be "
            "for too long. Left out while draining, and where a shared secret is used."
        ),
    )
