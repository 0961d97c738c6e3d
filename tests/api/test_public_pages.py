"""What is there without a token, and whether the answers are what the API's document says."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from handlers.http.routing import PREFIX
from handlers.server.application import ROUTES
from rdchat.domain.person import Role
from tests.support.forms import photo, upload
from tests.support.sessions import reaches
from tests.support.shapes import mismatches, references, resolve
from tests.support.soon import book_soon, in_days

if TYPE_CHECKING:
    from tests.support.service import Reply, Service


async def page_of(service: Service, path: str) -> tuple[int, str, Any]:
    async with service.client.get(service.base + path) as answer:
        is_json = answer.content_type == "application/json"
        return answer.status, answer.content_type, await answer.json() if is_json else await answer.text()


async def test_health_metrics_and_documentation_need_no_token(service: Service) -> None:
    assert await page_of(service, "/healthz") == (200, "application/json", {"status": "ok"})
    status, _, ready = await page_of(service, "/readyz")
    assert (status, ready["status"]) == (200, "ready")
    assert ready == {"status": "ready", "postgresql": "ok", "redis": "ok", "timers": "ok", "clock": "ok"}
    await service.person().get("/counselings")
    status, content_type, metrics = await page_of(service, "/metrics")
    assert (status, content_type) == (200, "text/plain")
    assert 'rdchat_http_request_seconds_count{method="GET",route="/api/v1/counselings",status="200"} 1.0' in (
        metrics
    )
    line = re.compile(r"(# (HELP|TYPE) .*|[a-zA-Z_:][\w:]*(\{.*\})? [-+0-9.eE]+(Inf|NaN)?)")
    assert all(line.fullmatch(one) for one in metrics.splitlines() if one)
    status, content_type, page = await page_of(service, "/docs")
    assert (status, content_type) == (200, "text/html")
    assert "<html" in page.lower()


async def test_the_openapi_document_is_whole(service: Service) -> None:
    status, content_type, document = await page_of(service, "/openapi.json")
    assert (status, content_type) == (200, "application/json")
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document["info"]["title"]
    assert document["info"]["version"]
    for reference in references(document):
        assert resolve(document, reference) is not None
    operations = [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    ids = [operation["operationId"] for _, _, operation in operations]
    assert Counter(ids).most_common(1)[0][1] == 1
    assert {(method.upper(), path) for method, path, _ in operations} == {
        *((route.method, PREFIX + route.path) for route in ROUTES),
        *(
            ("GET", path)
            for path in ("/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/asyncapi.json", "/docs")
        ),
    }
    schemes = document["components"]["securitySchemes"]
    for method, path, operation in operations:
        where = f"{method} {path}"
        assert operation["responses"], where
        for code, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d", code), where
            assert response["description"], where
        for requirement in operation.get("security", document["security"]):
            assert set(requirement) <= set(schemes), where
        parameters = operation.get("parameters", [])
        named = [(one["name"], one["in"]) for one in parameters]
        assert len(named) == len(set(named)), where
        assert {name for name, place in named if place == "path"} == set(re.findall(r"{(\w+)}", path)), where
        for one in parameters:
            assert "schema" in one, where
            assert one["in"] != "path" or one["required"] is True, where
        if path.startswith(PREFIX):
            # Where no token is asked for, something else is.
            assert ("401" in operation["responses"]) == (operation.get("security") != []), where
            assert {"401", "403"} & set(operation["responses"]), where


async def test_answers_have_the_shape_that_the_document_promises(service: Service) -> None:
    _, _, document = await page_of(service, "/openapi.json")
    psychologist = await service.psychologist()
    client, admin = service.person(), service.person(Role.SUPER_ADMIN, "Admin")
    booked = await book_soon(client, 1, 60)
    booking = booked.data
    session_id = booking["chatSession"]["sessionId"]
    path = f"/chat/sessions/{session_id}"
    answers: dict[str, Reply] = {
        "book_counseling": booked,
        "get_session": await client.get(path),
        "list_sessions": await client.get("/chat/sessions"),
    }
    await reaches(client, session_id, "active")
    uploaded = await upload(client, session_id, photo(), caption="Ini")
    kept = await psychologist.post("/quick-replies", {"title": "Salam", "text": "Halo!"})
    answers |= {
        "upload_message": uploaded,
        "get_attachment": await client.get(f"/chat/attachments/{uploaded.data['attachment']['id']}"),
        "send_message": await client.say(session_id, "Halo", "a"),
        "set_typing": await client.post("/chat/typing", {"sessionId": session_id, "isTyping": True}),
        "extend_session": await psychologist.put(f"{path}/extend", {"minutes": 1}),
        "read_session": await psychologist.put(f"{path}/read"),
        "get_unread": await client.get("/chat/unread"),
        "get_history": await client.get("/chat/history", sessionId=session_id),
        "get_ably_token": await client.get("/chat/ably-token", sessionId=session_id),
        "get_transcript": await client.get(f"{path}/transcript"),
        "get_timeline": await client.get(f"{path}/timeline"),
        "list_active_sessions": await client.get("/chat/sessions/active"),
        "end_session": await client.put(f"{path}/end"),
        "list_crisis_contacts": await client.get("/crisis-contacts"),
        "create_quick_reply": kept,
        "put_quick_reply": await psychologist.put(f"/quick-replies/{kept.data['id']}", {"position": 1}),
        "list_quick_replies": await psychologist.get("/quick-replies"),
        "delete_quick_reply": await psychologist.call("DELETE", f"/quick-replies/{kept.data['id']}"),
        "put_client_notes": await psychologist.put(f"/clients/{client.id}/notes", {"text": "Tidur membaik."}),
        "get_client_notes": await psychologist.get(f"/clients/{client.id}/notes"),
        "get_overview": await admin.get("/operations/overview"),
        "list_dead_letters": await admin.get("/operations/dead-letters"),
        "retry_dead_letters": await admin.post("/operations/dead-letters/retry", {"subjectId": session_id}),
        "drop_dead_letters": await admin.post(
            "/operations/dead-letters/drop", {"subjectId": session_id, "kind": "end_warning"}
        ),
        "list_dead_webhooks": await admin.get("/operations/dead-webhooks"),
        "retry_dead_webhooks": await admin.post("/operations/dead-webhooks/retry", {}),
        "list_operator_actions": await admin.get("/operations/actions"),
        "list_audit": await admin.get("/audit"),
        "list_readers": await client.get(f"{path}/access"),
        "export_person": await client.get(f"/people/{client.id}/export"),
        "hold_session": await admin.put(f"{path}/hold", {"isHeld": True, "reason": "Surat 17"}),
        "hold_person": await admin.put(f"/people/{client.id}/hold", {"isHeld": True, "reason": "Surat 17"}),
        "get_counseling": await client.get(f"/counselings/{booking['id']}"),
        "list_counselings": await client.get("/counselings"),
        "list_psychologists": await client.get("/psychologists"),
        "get_psychologist": await client.get(f"/psychologists/{psychologist.id}"),
        "get_availability": await client.get(f"/psychologists/{psychologist.id}/availability"),
        "put_availability": await psychologist.put(
            f"/psychologists/{psychologist.id}/availability",
            {
                "weekly": [{"weekday": day, "startTime": "00:00", "endTime": "00:00"} for day in range(1, 8)],
                "exceptions": [{"date": "2030-01-15", "isAvailable": False}],
            },
        ),
        "list_slots": await client.get(
            f"/psychologists/{psychologist.id}/slots", date=f"{in_days(30):%Y-%m-%d}"
        ),
        "put_calendar_link": await client.put("/calendar"),
        "delete_calendar_link": await client.call("DELETE", "/calendar"),
        "list_all_slots": await client.get(
            "/slots", **{"from": f"{in_days(30):%Y-%m-%d}", "to": f"{in_days(30):%Y-%m-%d}"}
        ),
        "get_organization": await client.get("/organization"),
        "list_notifications": await psychologist.get("/notifications"),
        "read_notification": await psychologist.put(
            f"/notifications/{(await psychologist.get('/notifications')).data['data'][0]['id']}/read"
        ),
        "read_all_notifications": await psychologist.put("/notifications/read-all"),
        "put_person": await admin.put(f"/people/{uuid4()}", {"isActive": False, "role": "client"}),
        "revoke_tokens": await admin.post(f"/people/{uuid4()}/revoke", {}),
        "put_psychologist": await admin.put(f"/psychologists/{psychologist.id}", {"fullName": "Sari"}),
    }
    repeated = await client.say(session_id, "Halo", "a")
    later = (await book_soon(client, 600, 60)).data
    answers["reschedule_counseling"] = await client.put(
        f"/counselings/{later['id']}/reschedule",
        {"date": f"{in_days(31):%Y-%m-%d}", "startTime": "14:00", "endTime": "15:00"},
    )
    other = await service.psychologist("Rina")
    answers["reassign_counseling"] = await admin.put(
        f"/counselings/{later['id']}/reassign", {"psychologistId": str(other.id)}
    )
    days = {"from": f"{in_days(0):%Y-%m-%d}", "to": f"{in_days(40):%Y-%m-%d}"}
    answers["get_report"] = await admin.get("/reports/organization", **days)
    answers["cancel_counseling"] = await client.put(f"/counselings/{later['id']}/cancel")
    for held in (f"{path}/hold", f"/people/{client.id}/hold"):
        await admin.put(held, {"isHeld": False, "reason": "Surat 18"})
    answers["erase_person"] = await admin.post(f"/people/{client.id}/erase", {"reason": "Surat 19"})
    faults: dict[str, str | list[str]] = {}
    for route in ROUTES:
        responses = document["paths"][PREFIX + route.path][route.method.lower()]["responses"]
        if route.data is None:
            continue
        reply = answers[route.operation]
        assert reply.status < 300, reply.json
        if str(reply.status) not in responses:
            faults[route.operation] = f"{reply.status} is not described"
            continue
        schema = responses[str(reply.status)]["content"]["application/json"]["schema"]
        found = list(mismatches(document, schema, reply.json))
        if found:
            faults[route.operation] = found
    for name, reply in {
        "created": await admin.put(f"/psychologists/{uuid4()}", {"fullName": "Maya"}),
        "repeated": repeated,
    }.items():
        operation = {"created": ("put", "/psychologists/{id}"), "repeated": ("post", "/chat/messages")}[name]
        described = document["paths"][PREFIX + operation[1]][operation[0]]["responses"]
        if str(reply.status) not in described:
            faults[name] = f"{operation}: {reply.status} is not described"
    assert faults == {}
