"""Who may call a replica: what verifies tokens, and keeps what they say of people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from rdchat.security.caller_tokens import CallerTokens
from rdchat.security.key_set import KeySet
from rdchat.services.access_list import AccessList
from rdchat.services.seen_people import SeenPeople

if TYPE_CHECKING:
    from rdchat.runtime.parts import Base, Delivery, Stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Callers:
    """What knows who calls. `key_set` is None where tokens are signed with a shared secret."""

    tokens: CallerTokens
    access: AccessList
    people: SeenPeople
    key_set: KeySet | None


async def start_callers(base: Base, stores: Stores, delivery: Delivery) -> Callers:
    """Start what verifies callers' tokens, with the identity provider's keys where it has some.

    Raise UnavailableError while it cannot be known who is deactivated.
    """
    settings = base.settings
    key_set = None
    if settings.jwt_jwks_url is not None:
        key_set = KeySet(settings.jwt_jwks_url, settings.jwt_keys_trust)
        base.close_in_turn(key_set.close)
        await key_set.start()
    access = AccessList(
        stores.pool,
        delivery.publisher,
        stores.keys,
        base.clock,
        # And what the clocks of service and provider differ by.
        oldest=settings.jwt_max_lifetime + timedelta(minutes=1),
    )
    base.close_in_turn(access.close)
    await access.start()
    people = SeenPeople(stores.pool, base.clock)
    access.on_destroyed.append(people.forget)
    people.start()
    base.close_in_turn(people.close)
    tokens = CallerTokens(
        algorithms=settings.jwt_algorithms,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        clock=base.clock,
        secret=settings.jwt_secret,
        keys=key_set.keys if key_set is not None else None,
        find_key=key_set.find if key_set is not None else None,
        max_lifetime=settings.jwt_max_lifetime,
    )
    return Callers(tokens=tokens, access=access, people=people, key_set=key_set)
