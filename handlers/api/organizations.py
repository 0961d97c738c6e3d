"""/organization: what callers are to know of their own, above all whom to turn to when they cannot wait."""

from __future__ import annotations

from handlers import schemas
from handlers.api.presenters import crisis_contact_json
from handlers.http.routing import Answer, Call, Route
from rdchat.domain import permissions


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
)
