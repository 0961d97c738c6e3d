"""Which tokens were revoked, and since when."""

from __future__ import annotations

from typing import Protocol


class Revocable(Protocol):
    """What a revocation looks at: instants are seconds since the epoch."""

    @property
    def client_id(self) -> str | None:
        """Whose token it is."""

    @property
    def revocation_key(self) -> str | None:
        """The `x-ably-revocation-key` that its issuer gave it."""

    @property
    def issued(self) -> float:
        """When it was issued."""

    @property
    def is_key(self) -> bool:
        """Keys are not revoked this way."""


class Revocations:
    """Targets such as `revocationKey:session-1` or `clientId:ann`, each with the instant it applies up to."""

    def __init__(self, longest_lifetime: float) -> None:
        self._longest_lifetime = longest_lifetime
        self._issued_before: dict[str, float] = {}

    def revoke(self, target: str, issued_before: float) -> None:
        """Revoke every token of `target` that was issued before that instant (seconds)."""
        self._issued_before[target] = max(issued_before, self._issued_before.get(target, 0.0))

    def cover(self, grant: Revocable) -> bool:
        """Tell whether the token behind this grant was revoked."""
        if grant.is_key or not self._issued_before:
            return False
        targets = (f"clientId:{grant.client_id}", f"revocationKey:{grant.revocation_key}")
        return any(grant.issued < self._issued_before.get(target, 0.0) for target in targets)

    def sweep(self, now: float) -> None:
        """Forget revocations whose tokens have all expired."""
        oldest = now - self._longest_lifetime
        self._issued_before = {t: before for t, before in self._issued_before.items() if before > oldest}
