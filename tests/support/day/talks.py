"""Scenes in open chats: five of one psychologist at once, with everything that people do there."""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from typing import TYPE_CHECKING, Any

from PIL import Image

from tests.support.envelope import assert_refused
from tests.support.forms import photo, upload
from tests.support.sessions import reaches

if TYPE_CHECKING:
    from tests.support.day.cast import Day
    from tests.support.day.phone import Phone
    from tests.support.service import Person, Reply

_LASTS = 14
_ROUNDS = 3
#: Where a camera writes the place: the tag of EXIF that points to GPS.
_GPS = 0x8825


async def five_chats(day: Day) -> None:
    """Eight want Sari at the same time; five get her, and she talks with all of them at once."""
    sari, guests = day["Sari"], day.guests(8)
    replies = await asyncio.gather(*(day.books(guest, sari, 0, _LASTS) for guest in guests))
    outcomes = Counter(reply.status if reply.status == 201 else reply.code for reply in replies)
    assert outcomes == {201: 5, "PSYCHOLOGIST_LIMIT": 3}
    booked = [
        (guest, reply.data["chatSession"]["sessionId"])
        for guest, reply in zip(guests, replies, strict=True)
        if reply.status == 201
    ]
    turned_away = [guest for guest, reply in zip(guests, replies, strict=True) if reply.status != 201]
    assert_refused(await day.books(turned_away[0], sari, 3, 4), 409, "PSYCHOLOGIST_LIMIT")
    second = await day.books(booked[0][0], day["Lestari"], 3, 4, method="online")
    assert_refused(second, 409, "CLIENT_LIMIT")
    talks = [Talk(day, number, *booked[number]) for number in range(5)]
    await asyncio.gather(*(talk.play() for talk in talks))


class Talk:
    """One of the five."""

    def __init__(self, day: Day, number: int, client: Person, session_id: str) -> None:
        self.day, self.number = day, number
        self.client, self.sari = client, day["Sari"]
        self.id = session_id
        self.path = f"/chat/sessions/{session_id}"

    async def play(self) -> None:
        mine, hers = await self.day.both_phones(self.client, self.sari, self.id)
        if self.day.is_before(-0.5):
            assert_refused(await self.client.say(self.id, "Sudah mulai?"), 400, "CHAT_NOT_ENABLED")
        await asyncio.gather(mine.hears("chat_enabled"), hers.hears("chat_enabled"))
        await hers.is_told("chat_enabled", self.id)
        await self.both_talk(mine, hers)
        await self.both_read(mine, hers)
        if self.number == 2:
            await self.files_are_sent(mine, hers)
        if self.number == 3:
            await self.strangers_see_nothing()
        await self.it_ends(mine, hers)

    async def both_talk(self, mine: Phone, hers: Phone) -> None:
        for turn in range(_ROUNDS):
            said = await asyncio.gather(
                self.client.say(self.id, f"Klien bicara <{self.number}.{turn}>"),
                self.sari.say(self.id, f"Sari menjawab <{self.number}.{turn}>"),
            )
            assert [reply.status for reply in said] == [201, 201]
        # A phone that got no answer sends again, also twice at a time: it was said once.
        name, text = f"pesan-{self.number}", f"Sekali saja <{self.number}>"
        repeated = [
            *await asyncio.gather(*(self.client.say(self.id, text, name) for _ in range(2))),
            await self.client.say(self.id, text, name),
        ]
        assert sorted(reply.status for reply in repeated) == [200, 200, 201]
        assert len({reply.data["id"] for reply in repeated}) == 1
        typing = {"sessionId": self.id, "isTyping": True}
        assert (await self.client.post("/chat/typing", typing)).status == 200
        await hers.hears_typing(self.client)
        last = repeated[0].data["seq"]
        await asyncio.gather(mine.hears_message(last), hers.hears_message(last))

    async def both_read(self, mine: Phone, hers: Phone) -> None:
        history = await self.client.history(self.id)
        last = history[-1]["seq"]
        theirs = [one["seq"] for one in history if one["senderId"] == str(self.client.id)]
        assert len(theirs) == _ROUNDS + 1
        assert await self.unread(self.sari) == len(theirs)
        # What is said by itself is said by the psychologist: it is unread as well.
        assert await self.unread(self.client) == len(history) - len(theirs)
        assert await self.reads(self.sari, theirs[1]) == theirs[1]
        assert await self.unread(self.sari) == len(theirs) - 2
        # Going back, or reading the same again, changes nothing.
        assert await self.reads(self.sari, theirs[0]) == theirs[1]
        assert await self.reads(self.sari, theirs[1]) == theirs[1]
        assert await self.unread(self.sari) == len(theirs) - 2
        shown = {one["seq"]: one["isRead"] for one in await self.client.history(self.id)}
        assert [seq for seq in theirs if shown[seq]] == theirs[:2]
        assert await self.reads(self.sari, last + 1000) == last
        assert await self.reads(self.client, None) == last
        assert await self.unread(self.sari) == await self.unread(self.client) == 0
        for step in (theirs[1], last):
            await mine.hears_reading(self.sari, step)
        await hers.hears_reading(self.client, last)

    async def unread(self, person: Person) -> int:
        counted = (await person.get("/chat/unread")).data
        assert counted["total"] == sum(one["unread"] for one in counted["sessions"])
        found: int = next((one["unread"] for one in counted["sessions"] if one["sessionId"] == self.id), 0)
        return found

    async def reads(self, person: Person, up_to: int | None) -> int:
        body = {} if up_to is None else {"upToSeq": up_to}
        data = (await person.put(f"{self.path}/read", body)).data
        read: int = data["upToSeq"]
        return read

    async def files_are_sent(self, mine: Phone, hers: Phone) -> None:
        at_home = Image.Exif()
        at_home.get_ifd(_GPS)[2] = (6.0, 12.0, 31.0)
        picture = photo(form="JPEG", exif=at_home)
        assert _place(picture)
        sent = await upload(self.client, self.id, picture, "kamar.jpg", caption="Ini kamar saya <2>")
        assert (sent.status, sent.data["messageType"]) == (201, "image")
        document = b"Surat <2> untuk diri sendiri."
        written = await upload(self.sari, self.id, document, "surat.txt")
        assert (written.status, written.data["messageType"]) == (201, "file")
        program = await upload(self.client, self.id, b"MZ\x90\x00" + bytes(200), "foto.png")
        assert_refused(program, 400, "VALIDATION_FAILED")
        last = written.data["seq"]
        await asyncio.gather(mine.hears_message(last), hers.hears_message(last))
        # Who hears of a file has no link to it: they ask for one.
        for phone, seq, size in ((hers, sent.data["seq"], None), (mine, last, len(document))):
            (told,) = [one["attachment"] for one in phone.messages if one["seq"] == seq]
            assert "url" not in told
            link = (await phone.person.get(f"/chat/attachments/{told['id']}")).data["url"]
            content = await self.opened(link)
            assert len(content) == told["size"] == (size or len(content))
            if size is None:
                assert not _place(content)
                assert Image.open(io.BytesIO(content)).size == (60, 40)
            foreign = await self.day.admin.get(f"/chat/attachments/{told['id']}")
            assert_refused(foreign, 403, "NOT_PARTICIPANT")

    async def opened(self, link: str) -> bytes:
        async with self.day.service.client.get(link) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.read()

    async def strangers_see_nothing(self) -> None:
        elsewhere = next(one for one in self.day.clients if one.id != self.client.id)
        query: dict[str, Any] = {"sessionId": self.id}
        for stranger in (elsewhere, self.day["Rini"], self.day.admin):
            tried = [
                await stranger.get("/chat/history", **query),
                await stranger.get("/chat/ably-token", **query),
                await stranger.get(f"{self.path}/transcript"),
                await stranger.say(self.id, "Halo?"),
                await stranger.put(f"{self.path}/read"),
                await stranger.put(f"{self.path}/end"),
                await stranger.put(f"{self.path}/extend", {"minutes": 1}),
                await stranger.post("/chat/typing", query | {"isTyping": True}),
            ]
            for reply in tried:
                assert_refused(reply, 403)
        # How it stands, the administrator may know.
        assert (await self.day.admin.session(self.id))["status"] in ("active", "ending_soon")
        assert_refused(await elsewhere.get(self.path), 403, "NOT_PARTICIPANT")

    async def the_client_talks_until_the_door_closes(self) -> None:
        """Nothing is refused before the end, and everything after it."""
        await self.day.comes(_LASTS - 0.2)
        answers: list[Reply] = []
        while not answers or answers[-1].status == 201:
            answers.append(await self.client.say(self.id, f"Satu lagi <4.{len(answers)}>"))
        assert_refused(answers[-1], 400, "SESSION_ENDED")
        assert len(answers) > 1
        assert not self.day.is_before(_LASTS)

    async def it_ends(self, mine: Phone, hers: Phone) -> None:
        """The first is ended by its client, the second by Sari, the others by the clock."""
        if self.number == 4:
            await self.the_client_talks_until_the_door_closes()
        ender = {0: self.client, 1: self.sari}.get(self.number)
        if ender is not None:
            ended = await ender.put(f"{self.path}/end")
            assert ended.json["message"] == "Chat session ended successfully"
        await asyncio.gather(mine.hears("completed"), hers.hears("completed"))
        session = await reaches(self.client, self.id, "completed")
        reason = {0: "ended_by_client", 1: "ended_by_psychologist"}.get(self.number, "auto_ended")
        assert (session["endReason"], session["outcome"]) == (reason, "held")
        warned = [status for status in mine.statuses if status == "ending_soon"]
        assert len(warned) == (ender is None)
        assert_refused(await self.client.say(self.id, "Masih ada?"), 400, "SESSION_ENDED")
        again = await self.client.say(self.id, f"Sekali saja <{self.number}>", f"pesan-{self.number}")
        assert again.status == 200


def _place(picture: bytes) -> dict[int, Any]:
    return dict(Image.open(io.BytesIO(picture)).getexif().get_ifd(_GPS))


SCENES = (five_chats,)
