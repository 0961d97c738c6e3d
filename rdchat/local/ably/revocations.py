"""Which tokens were revoked, and since when."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .grants import Grant

#: By what tokens can be revoked: whose they are, what their issuer wrote into them, a channel they name.
TARGETS = ("clientId", "revocationKey", "channel")


class Revocation(NamedTuple):
    """Tokens issued before one instant are void from another on; seconds since the epoch."""

    issued_before: float
    applies_at: float


class Revocations:
    """Targets such as `revocationKey:session-1`, `clientId:ann` or `channel:chat:1`, each with what holds."""

    def __init__(self, longest_lifetime: float) -> None:
        self._longest_lifetime = longest_lifetime
        self._revoked: dict[str, list[Revocation]] = {}

    def revoke(self, target: str, issued_before: float, applies_at: float, now: float) -> None:
        """Revoke every token of `target` that was issued before that instant, from `applies_at` on."""
        known = [*self._revoked.get(target, ()), Revocation(issued_before, applies_at)]
        # Of those that apply already the widest is enough.
        applying = [one for one in known if one.applies_at <= now]
        coming = [one for one in known if one.applies_at > now]
        self._revoked[target] = [*coming, *([max(applying)] if applying else ())]

    def applies_at(self, grant: Grant) -> float | None:
        """Return from when on the token behind this grant is void; None: it is not revoked."""
        if grant.is_key or not self._revoked:
            return None
        instants = [
            one.applies_at
            for target in _targets(grant)
            for one in self._revoked.get(target, ())
            if grant.issued < one.issued_before
        ]
        return min(instants, default=None)

    def sweep(self, now: float) -> None:
        """Forget revocations whose tokens have all expired."""
        oldest = now - self._longest_lifetime
        self._revoked = {
            target: kept
            for target, revoked in self._revoked.items()
            if (kept := [one for one in revoked if one.issued_before > oldest])
        }


def _targets(grant: Grant) -> Iterator[str]:
    yield f"clientId:{grant.client_id}"
    yield f"revocationKey:{grant.revocation_key}"
    # A channel counts when the capability names it; one that a pattern covers does not.
    for resource in grant.capability.resources:
        yield f"channel:{resource}"
