"""/organization: what callers are to know of their own, above all whom to turn to when they cannot wait."""

from __future__ import annotations

from typing import Final

from handlers import schemas
from handlers.api.presenters import crisis_contact_json
from handlers.http.routing import Answer, Call, Route
from rdchat.domain import permissions

#: What is for everyone may be kept by everyone, and shown by a proxy when the service is away.
_KEPT: Final = {"Cache-Control": "public, max-age=300, stale-if-error=604800"}


async def get_organization(call: Call) -> Answer:
    """Look at one's own organisation: its language, and its crisis contacts.

    Show these wherever someone may be in need, also before a chat opens and when it is closed. It is answered
    from memory and not limited in rate. Without an organisation, or with one that has no contacts of its own,
    they are those that the service has for all.
    """
    service, organization_id = call.runtime.organizations, call.caller.organization_id
    return Answer(
        {
            "organizationId": str(organization_id) if organization_id is not None else None,
            "language": service.get_language(call.caller),
            "crisisContacts": [crisis_contact_json(one) for one in service.list_crisis_contacts(call.caller)],
        },
        "Organization retrieved successfully",
    )


async def list_crisis_contacts(call: Call) -> Answer:
    """List whom anyone can turn to, without a token: for pages before sign-in.

    They are those that the service has for all. Keep the answer, in the page or its service worker, to show
    it also when the service, or the network, is away.
    """
    found = call.runtime.organizations.list_crisis_contacts_for_all()
    shown = {"crisisContacts": [crisis_contact_json(one) for one in found]}
    return Answer(shown, "Crisis contacts retrieved successfully", headers=_KEPT)


ROUTES = (
    Route(
        method="GET",
        path="/organization",
        handler=get_organization,
        summary="Look at one's own organisation",
        tag="Organisation",
        done="Its language, and whom to turn to.",
        message="Organization retrieved successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        data=schemas.OrganizationAnswer,
        rate=None,
    ),
    Route(
        method="GET",
        path="/crisis-contacts",
        handler=list_crisis_contacts,
        summary="List crisis contacts",
        tag="Organisation",
        done="Whom to turn to.",
        message="Crisis contacts retrieved successfully",
        roles=permissions.NO_ROLE,
        data=schemas.CrisisContactsAnswer,
        public=True,
        rate=None,
    ),
)
