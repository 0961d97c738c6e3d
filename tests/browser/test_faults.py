"""What goes wrong on phones and nets: nothing typed is lost or doubled, and the page says how it stands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from rdchat.local.ably.faults import Fault, FaultKind, Operation
from tests.support.soon import session_soon
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.service import Person, Service
    from tests.support.visitors import Visitor, Visitors

pytestmark = pytest.mark.xdist_group("browser")

#: The browser itself writes down every request that fails.
_FAILED_REQUESTS = ("Failed to load resource", "WebSocket connection", "net::ERR")


class Talk:
    """A client and a psychologist in an open chat; the client has a window on it."""

    def __init__(self, service: Service, visitors: Visitors, client: Person, psychologist: Person) -> None:
        self.service, self.visitors = service, visitors
        self.client, self.psychologist = client, psychologist
        self.session_id = ""

    async def open(self, lasts: float = 120, **options: Any) -> Visitor:
        self.session_id = await session_soon(self.client, 0.5, lasts)
        visitor = await self.visitors.open(self.client, **options)
        await self.enter(visitor)
        return visitor

    async def enter(self, visitor: Visitor) -> None:
        await visitor.go(f"/chat/{self.session_id}")
        await visitor.see(".composer textarea")
        await visitor.is_in_state("live")

    async def said(self) -> list[str]:
        """What the service has of both, without automated messages."""
        history = await self.client.history(self.session_id)
        return [one["message"] for one in history if not one["isAutomated"]]

    async def arrives(self, *texts: str) -> None:
        async def has_arrived() -> bool:
            return await self.said() == list(texts)

        await until(has_arrived, 30)

    def fail_at_ably(self, kind: FaultKind, times: int) -> None:
        local = self.service.runtime.ably_local
        assert local is not None
        channel = f"chat:session:{self.session_id}"
        local.faults.add(Fault(kind, on=Operation.DELIVER, channel=channel, times=times))


@pytest.fixture
async def talk(practice: Service, visitors: Visitors) -> Talk:
    return Talk(practice, visitors, practice.person(name="Budi"), await practice.psychologist())


async def test_offline_messages_wait_and_come_in_order(talk: Talk) -> None:
    budi = await talk.open()
    budi.allow(*_FAILED_REQUESTS)
    await budi.context.set_offline(True)
    await budi.see(".banner")
    for text in ("satu", "dua", "tiga"):
        await budi.write(text)
    await budi.see("[data-pending] >> nth=2")
    assert await talk.said() == []
    await talk.psychologist.say(talk.session_id, "Anda masih di sana?")
    await budi.context.set_offline(False)
    await budi.see(".message.theirs:has-text('masih di sana')")
    await talk.arrives("Anda masih di sana?", "satu", "dua", "tiga")
    await budi.is_in_state("live")
    await budi.see(".message.mine:has-text('tiga') .meta time")
    assert (await budi.texts())[-4:] == ["Anda masih di sana?", "satu", "dua", "tiga"]
    assert await budi.page.locator("[data-pending]").count() == 0


async def test_a_reload_keeps_the_draft_and_what_was_not_sent(talk: Talk) -> None:
    budi = await talk.open()
    budi.allow(*_FAILED_REQUESTS)
    await budi.page.route("**/api/v1/chat/messages", lambda route: route.abort())
    await budi.write("belum terkirim")
    await budi.see("[data-pending]")
    await budi.composer.fill("masih saya tulis")
    await budi.page.wait_for_timeout(1_000)  # drafts are promised to be kept within a second
    await budi.page.unroute("**/api/v1/chat/messages")
    await budi.page.reload()
    await budi.see(".composer textarea")
    assert await budi.composer.input_value() == "masih saya tulis"
    await talk.arrives("belum terkirim")
    await budi.see(".message.mine[data-seq]:has-text('belum terkirim')")
    assert await budi.page.locator("[data-pending]").count() == 0


async def test_events_that_are_lost_or_doubled_change_nothing(talk: Talk) -> None:
    budi = await talk.open()
    talk.fail_at_ably(FaultKind.DROP, 2)
    for text in ("satu", "dua"):
        await talk.psychologist.say(talk.session_id, text)
    talk.fail_at_ably(FaultKind.DUPLICATE, 2)
    for text in ("tiga", "empat"):
        await talk.psychologist.say(talk.session_id, text)
    await budi.see(".message.theirs:has-text('empat')")
    assert (await budi.texts())[-4:] == ["satu", "dua", "tiga", "empat"]


@pytest.mark.parametrize(
    ("status", "code", "headers"),
    [
        (503, "UNAVAILABLE", {"Retry-After": "1"}),
        (429, "RATE_LIMITED", {"Retry-After": "1"}),
        (409, "IDEMPOTENCY_IN_FLIGHT", {}),
    ],
)
async def test_what_is_refused_for_now_is_sent_again(
    talk: Talk, status: int, code: str, headers: dict[str, str]
) -> None:
    budi = await talk.open()
    budi.allow(*_FAILED_REQUESTS)
    refused = 0

    async def refuse(route: Any) -> None:
        nonlocal refused
        if refused == 2:
            await route.continue_()
            return
        refused += 1
        body = json.dumps({"success": False, "message": "later", "statusCode": status, "code": code})
        await route.fulfill(status=status, headers=headers, content_type="application/json", body=body)

    await budi.page.route("**/api/v1/chat/messages", refuse)
    await budi.write("halo")
    await budi.see("[data-pending]")
    await talk.arrives("halo")
    await budi.see(".message.mine[data-seq]:has-text('halo')")
    assert refused == 2


async def test_an_answer_that_is_lost_sends_nothing_twice(talk: Talk) -> None:
    budi = await talk.open()
    budi.allow(*_FAILED_REQUESTS)
    lost = 0

    async def lose(route: Any) -> None:
        nonlocal lost
        lost += 1
        if lost == 1:
            await route.fetch()
            await route.abort()
        else:
            await route.continue_()

    await budi.page.route("**/api/v1/chat/messages", lose)
    await budi.write("hanya sekali")
    await budi.see(".message.mine[data-seq]:has-text('hanya sekali')")
    await budi.page.wait_for_function("() => document.querySelectorAll('[data-pending]').length === 0")
    await talk.arrives("hanya sekali")
    assert (await budi.texts()).count("hanya sekali") == 1


async def test_a_phones_wrong_clock_does_not_matter(practice: Service, visitors: Visitors) -> None:
    client = practice.person(name="Budi")
    await practice.psychologist()
    session_id = await session_soon(client, 30, 60)
    budi = await visitors.open(client)
    await budi.context.add_init_script("const now = Date.now.bind(Date); Date.now = () => now() + 600_000;")
    await budi.go(f"/chat/{session_id}")
    left = await (await budi.see(".countdown")).inner_text()
    minutes, seconds = map(int, left.split(":"))
    assert 10 < 60 * minutes + seconds <= 30


@pytest.mark.parametrize(
    "script",
    [
        "Object.defineProperty(globalThis, 'indexedDB', {get() { throw new Error('forbidden'); }});",
        "IDBObjectStore.prototype.put = () => { throw new DOMException('full', 'QuotaExceededError'); };",
    ],
    ids=["forbidden", "full"],
)
async def test_without_storage_one_can_write_and_is_told(talk: Talk, script: str) -> None:
    session_id = await session_soon(talk.client, 0.5, 120)
    talk.session_id = session_id
    budi = await talk.visitors.open(talk.client)
    await budi.context.add_init_script(script)
    await talk.enter(budi)
    await budi.write("tetap terkirim")
    await talk.arrives("tetap terkirim")
    await budi.see(".chat-state:has-text('tidak bisa menyimpan')")


async def test_a_file_that_is_refused_says_why_and_can_be_discarded(talk: Talk) -> None:
    budi = await talk.open()
    budi.allow("415", "400", *_FAILED_REQUESTS)
    await budi.page.set_input_files(
        "input[type=file]",
        {"name": "program.exe", "mimeType": "application/x-msdownload", "buffer": b"MZ\x00\x01" * 99},
    )
    await budi.write("keterangan")
    refusal = await budi.see(".refusal")
    assert "Belum terkirim" in await refusal.inner_text()
    await budi.page.get_by_role("button", name="Batalkan").click()
    await budi.page.wait_for_function("() => document.querySelectorAll('[data-pending]').length === 0")
    assert await budi.composer.input_value() == "keterangan", "the words come back"


async def test_two_tabs_of_one_person_show_the_same(talk: Talk) -> None:
    budi = await talk.open()
    other = await talk.visitors.another_tab(budi, talk.client)
    await talk.enter(other)
    await budi.write("dari tab pertama")
    await other.see(".message.mine[data-seq]:has-text('dari tab pertama')")
    await other.write("dari tab kedua")
    await budi.see(".message.mine[data-seq]:has-text('dari tab kedua')")
    assert (await budi.texts())[-2:] == (await other.texts())[-2:] == ["dari tab pertama", "dari tab kedua"]
    await talk.arrives("dari tab pertama", "dari tab kedua")


async def test_asleep_over_the_end(talk: Talk) -> None:
    budi = await talk.open(lasts=8)
    budi.allow(*_FAILED_REQUESTS)
    await budi.composer.fill("belum selesai saya tulis")
    await budi.context.set_offline(True)
    await until(lambda: _is_over(talk), 30)
    await budi.context.set_offline(False)
    await budi.see(".chat-over h2:has-text('Sesi telah berakhir')")
    assert (await budi.texts())[-1].startswith("Sesi konseling telah berakhir")


async def _is_over(talk: Talk) -> bool:
    return bool((await talk.client.session(talk.session_id))["status"] == "completed")


async def test_an_error_of_the_page_keeps_what_was_typed(talk: Talk) -> None:
    budi = await talk.open()
    budi.allow("planted", "at ")
    await budi.composer.fill("jangan hilang")
    await budi.page.wait_for_timeout(1_000)  # drafts are promised to be kept within a second
    # The next drawing of a message fails.
    await budi.page.evaluate(
        "Intl.DateTimeFormat.prototype.format; Object.defineProperty(Intl.DateTimeFormat.prototype, 'format',"
        " {get() { throw new Error('planted'); }})"
    )
    await talk.psychologist.say(talk.session_id, "halo")
    await (await budi.see("[role=alert] button")).click()
    await budi.see(".composer textarea")
    assert await budi.composer.input_value() == "jangan hilang"


async def test_a_switch_just_before_sending_sends_nothing(practice: Service, visitors: Visitors) -> None:
    """A chat that is not in front, or has only just come there, takes nothing."""
    client = practice.person(name="Budi")
    await practice.psychologist()
    session_id = await session_soon(client, 0.5, 60)
    budi = await visitors.open(client)
    await budi.go(f"/chat/{session_id}")
    await budi.see(".composer textarea")
    await budi.is_in_state("live")
    refused = await budi.page.evaluate(
        """async (id) => {
          const root = JSON.parse(document.getElementById('settings').textContent).static;
          const { identity } = await import(`${root}/app/identity.js`);
          const { rdchat } = identity.value;
          const chat = await rdchat.openChat(id);
          rdchat.show(null);
          rdchat.show(chat);
          return chat.send('salah orang').then(() => 'sent', (error) => error.name);
        }""",
        session_id,
    )
    assert refused == "WrongChatError"
    assert [one["isAutomated"] for one in await client.history(session_id)] == [True, True]
