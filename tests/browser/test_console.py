"""Those who run the service, at the console: numbers, a session as it passes, what was given up."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from rdchat.domain.person import Role
from statemachine import AutomationKind
from tests.support.console import fail_automation
from tests.support.service import whole_second
from tests.support.soon import session_soon

if TYPE_CHECKING:
    from tests.support.service import Service
    from tests.support.visitors import Visitors

pytestmark = pytest.mark.xdist_group("browser")

_HIDE = """(isHidden) => {
  Object.defineProperty(document, "hidden", { get: () => isHidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
LONG_NAME = "Dr. Raden Ajeng Sri Kusumaningtyas Wulandari Hadiningrat, M.Psi., Psikolog"


async def test_a_session_is_followed_while_it_lives_and_replayed(
    practice: Service, visitors: Visitors
) -> None:
    client, _ = practice.person(name="Budi Santoso"), await practice.psychologist(LONG_NAME)
    session_id = await session_soon(client, 6, 24)
    admin = await visitors.open(practice.person(Role.SUPER_ADMIN), locale="en-GB")
    await admin.go(f"/sessions/{session_id}")
    for state in ("pending", "active", "ending_soon", "completed"):
        await admin.see(f".diagram[data-state={state}]")
        await admin.see(f"h1 [data-status={state}]")

    # The keyboard goes through it; picture and list follow.
    slider = admin.page.get_by_role("slider")
    await slider.focus()
    await admin.page.keyboard.press("Home")
    await admin.see(".diagram[data-state=pending]")
    assert "Booked by the client" in (await slider.get_attribute("aria-valuetext") or "")
    await admin.page.locator("[data-entry=enable_chat] button").click()
    await admin.see(".diagram[data-state=active]")
    assert await admin.page.locator("[aria-current=step]").count() == 1
    await admin.page.get_by_role("button", name="Play").click()
    await admin.see(".diagram[data-state=completed]")
    assert await admin.page.locator("[data-arrow='pending>active']").get_attribute("data-kind") == "taken"
    assert await admin.page.locator("[data-automation]").count() == len(AutomationKind)
    assert await admin.audit() == []

    # On a phone the states stand below each other.
    await admin.page.set_viewport_size({"width": 360, "height": 740})
    await admin.see(".diagram svg[viewBox^='-16']")
    assert await admin.page.evaluate("document.documentElement.scrollWidth") == 360


async def test_the_overview_stays_when_the_service_does_not_answer(
    practice: Service, visitors: Visitors
) -> None:
    client, _ = practice.person(), await practice.psychologist(LONG_NAME)
    await client.book_session(whole_second(1200), whole_second(2400))
    admin = await visitors.open(practice.person(Role.SUPER_ADMIN), locale="en-GB")
    admin.allow("Failed to load resource")
    await admin.go()
    await admin.see("[data-count=pending]:has-text('1')")
    await admin.see(f".openings li:has-text('{LONG_NAME}')")
    for part in ("queue", "outbox", "webhooks", "ably", "postgresql", "redis", "clock"):
        await admin.see(f"[data-part={part}] .mark:has-text('OK')")
    assert await admin.audit() == []

    async def fail(route: Any) -> None:
        await route.abort()

    await admin.page.route("**/operations/overview*", fail)
    await admin.see("[data-old]")
    await admin.see("[data-count=pending]:has-text('1')")
    await admin.page.unroute("**/operations/overview*")
    await admin.page.locator("[data-old]").wait_for(state="detached")

    # A page that cannot be seen says that it does not look, and looks at once when it is seen again.
    await admin.page.evaluate(_HIDE, True)
    await admin.see("[data-looked]:has-text('paused')")
    async with admin.page.expect_request("**/operations/overview*"):
        await admin.page.evaluate(_HIDE, False)
    await admin.see("[data-looked]:has-text('every 5 seconds')")


async def test_parts_that_are_away_are_said_in_words(practice: Service, visitors: Visitors) -> None:
    person = practice.person(Role.SUPER_ADMIN)
    shown = (await person.get("/operations/overview")).data | {
        "counts": None,
        "postgresql": None,
        "replicas": None,
    }
    shown["ably"]["status"] = "failing"
    admin = await visitors.open(person, locale="en-GB", viewport={"width": 360, "height": 740})

    async def answer(route: Any) -> None:
        await route.fulfill(
            status=200, content_type="application/json", body=json.dumps({"success": True, "data": shown})
        )

    await admin.page.route("**/operations/overview*", answer)
    await admin.go()
    await admin.see("[data-part=postgresql] .bad:has-text('Does not answer')")
    await admin.see("[data-part=ably] .bad:has-text('Does not take events')")
    await admin.see("text=the replicas are not known")
    assert await admin.audit() == []


async def test_what_was_given_up_is_dropped_and_tried_again(practice: Service, visitors: Visitors) -> None:
    client, _ = practice.person(), await practice.psychologist()
    start = whole_second(3600)
    session_id = await client.book_session(start, start + timedelta(hours=1))
    for kind in (AutomationKind.END_WARNING, AutomationKind.ENABLE_CHAT, AutomationKind.AUTO_END):
        await fail_automation(practice, session_id, kind)
    admin = await visitors.open(
        practice.person(Role.SUPER_ADMIN, name="Hendra Wijaya"), locale="en-GB", color_scheme="dark"
    )
    await admin.go("/dead-letters")
    await admin.see("[data-letter=auto_end]:has-text('cannot be dropped')")
    assert await admin.page.locator("[data-letter=auto_end] .danger").count() == 0
    assert await admin.audit() == []

    await admin.page.get_by_role("button", name="Drop: Warn of end").click()
    await admin.see("dialog:has-text('will never run')")
    await admin.page.keyboard.press("Escape")
    assert await admin.page.locator("[data-letter]").count() == 3
    await admin.page.get_by_role("button", name="Drop: Warn of end").click()
    await admin.page.locator("dialog .danger").click()
    await admin.see(".toast:has-text('Dropped: Warn of end')")
    await admin.page.get_by_role("button", name="Try again: Open chat").click()
    await admin.page.locator("dialog .primary").click()
    await admin.see(".toast:has-text('Scheduled again: Open chat')")
    await admin.page.locator("[data-letter=enable_chat]").wait_for(state="detached")

    await admin.page.get_by_role("link", name="Recorded actions").click()
    await admin.see("[data-action=drop_automation]:has-text('Hendra Wijaya')")
    await admin.see("[data-action=retry_dead_letter]:has-text('Done')")
    assert await admin.audit() == []


async def test_lists_are_filtered_and_the_report_is_kept(practice: Service, visitors: Visitors) -> None:
    client, sari = practice.person(), await practice.psychologist(LONG_NAME)
    start = whole_second(3600)
    session_id = await client.book_session(start, start + timedelta(hours=1))
    admin = await visitors.open(practice.person(Role.SUPER_ADMIN), locale="en-GB")
    admin.allow("status of 400")
    await admin.go(f"/sessions?psychologistId={sari.id}&status=pending")
    await admin.see(f"[data-session='{session_id}']")
    await admin.page.get_by_label("State").select_option("completed")
    await admin.page.get_by_role("button", name="Apply").click()
    await admin.see("text=No session fits")
    await admin.page.get_by_label("Client id").fill("not an id")
    await admin.page.get_by_role("button", name="Apply").click()
    await admin.see(".wrong:has-text('no client id')")
    assert await admin.audit() == []

    day = f"{start:%Y-%m-%d}"
    await admin.go(f"/report?from={day}&to={start + timedelta(days=1):%Y-%m-%d}")
    await admin.see("[data-report=booked]:has-text('1')")
    async with admin.page.expect_download() as download:
        await admin.page.get_by_role("button", name="Download CSV").click()
    kept = await (await download.value).path()
    assert LONG_NAME in kept.read_text(encoding="utf-8")
    assert await admin.audit() == []


async def test_a_psychologist_is_deactivated_and_what_it_affects_is_named(
    practice: Service, visitors: Visitors
) -> None:
    client, sari = practice.person(name="Budi Santoso"), await practice.psychologist(LONG_NAME)
    start = whole_second(3600)
    await client.book_session(start, start + timedelta(hours=1))
    admin = await visitors.open(
        practice.person(Role.SUPER_ADMIN), locale="en-GB", viewport={"width": 360, "height": 740}
    )
    await admin.go("/psychologists")
    await admin.page.get_by_role("button", name="Deactivate: Dr. Raden").click()
    await admin.see("dialog:has-text('both participants')")
    await admin.page.locator("dialog .danger").click()
    await admin.see(f"[data-psychologist='{sari.id}'] .notice:has-text('Budi Santoso')")
    assert await admin.audit() == []
    await admin.page.get_by_role("button", name="Activate: Dr. Raden").click()
    await admin.page.locator("dialog .primary").click()
    await admin.see(f"[data-psychologist='{sari.id}'] .mark:has-text('Can be booked')")


async def test_a_supervisor_sees_sessions_and_numbers_alone(practice: Service, visitors: Visitors) -> None:
    supervisor = practice.person(Role.SUPERVISOR, organization_id=uuid4())
    dewi = await visitors.open(supervisor)
    await dewi.go()
    await dewi.see("[data-count=pending]")
    assert await dewi.page.locator("[data-part]").count() == 0
    assert await dewi.texts("nav a") == ["Ringkasan", "Sesi", "Laporan"]
    await dewi.go("/dead-letters")
    await dewi.see("h1:has-text('Halaman ini tidak ada')")
