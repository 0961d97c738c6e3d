"""Bodies by the byte: what is not JSON, or not ours, is refused in the envelope, never with 500."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from tests.support.envelope import assert_refused, envelope_fault
from tests.support.raw import exchange, post
from tests.support.soon import in_days, session_soon
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.service import Person, Reply, Service

SESSION = str(uuid4())
JSON = {"Content-Type": "application/json"}


def message(text: bytes) -> bytes:
    """A message whose text is written in exactly these bytes."""
    return b'{"sessionId":"' + SESSION.encode() + b'","message":"' + text + b'"}'


def beside(more: bytes) -> bytes:
    """A good message with something else beside it."""
    return b'{"sessionId":"' + SESSION.encode() + b'","message":"Halo",' + more + b"}"


async def send(person: Person, body: bytes, path: str = "/chat/messages", **headers: str) -> Reply:
    return await person.call("POST", path, data=body, headers=JSON | headers)


async def faults_of(person: Person, bodies: dict[str, bytes]) -> dict[str, str]:
    """Send each body. Gives what is wrong with the refusals, by name; nothing when all are right."""
    faults = {}
    for name, body in bodies.items():
        reply = await send(person, body)
        fault = envelope_fault(reply)
        if fault is None and reply.json["code"] != "VALIDATION_FAILED":
            fault = f"{reply.json['code']}: it was let through"
        if fault is not None:
            faults[name] = fault
    return faults


async def test_the_body_that_the_others_are_spoilt_from_is_good(service: Service) -> None:
    for body in (message(b"Halo"), beside(b'"messageType":"text"')):
        assert_refused(await send(service.person(), body), 404, "SESSION_NOT_FOUND")


async def test_what_is_no_json(service: Service) -> None:
    good = message(b"Halo")
    bodies = {
        "nothing": b"",
        "blanks": b" \r\n\t",
        "a BOM": b"\xef\xbb\xbf" + good,
        "UTF-16": good.decode().encode("utf-16"),
        "UTF-32": good.decode().encode("utf-32"),
        "truncated": good[:-1],
        "truncated in a string": good[:-3],
        "truncated in an escape": message(b"Halo\\u00")[:-2],
        "a second value": good + b"{}",
        "a trailing comma": good[:-1] + b",}",
        "single quotes": b"{'message': 'Halo'}",
        "a comment": b"/* Halo */" + good,
        "a raw NUL": message(b"Ha\x00lo"),
        "a raw newline": message(b"Ha\nlo"),
        "an unknown escape": message(b"Ha\\xlo"),
        "NUL bytes": b"\x00" * 100,
        "a form": b"sessionId=1&message=Halo",
        "vertical tab as blank": b"\x0b" + good,
        "no-break space as blank": b"\xc2\xa0" + good,
    }
    assert await faults_of(service.person(), bodies) == {}


async def test_bad_utf_8(service: Service) -> None:
    bad = {
        "a lone continuation": b"\x80",
        "a cut sequence": b"\xf0\x9f\x98",
        "an overlong slash": b"\xc0\xaf",
        "an overlong NUL": b"\xc0\x80",
        "a surrogate": b"\xed\xa0\x80",
        "a pair of surrogates": b"\xed\xa0\xbd\xed\xb8\x8a",
        "beyond Unicode": b"\xf4\x90\x80\x80",
        "Latin-1": "é".encode("latin-1"),
        "FE and FF": b"\xfe\xff",
    }
    bodies = {name: message(b"Halo " + text) for name, text in bad.items()}
    bodies |= {f"{name}, in a name": beside(b'"' + text + b'":1') for name, text in bad.items()}
    assert await faults_of(service.person(), bodies) == {}


async def test_deep_nesting(service: Service) -> None:
    deep = 10_000
    bodies = {
        "arrays": b"[" * deep + b"]" * deep,
        "open arrays": b"[" * 60_000,
        "objects": b'{"a":' * deep + b"1" + b"}" * deep,
        "open objects": b'{"a":' * deep,
        "arrays in a field": beside(b'"messageType":' + b"[" * deep + b"]" * deep),
        "objects in a field": beside(b'"messageType":' + b'{"a":' * deep + b"1" + b"}" * deep),
        "both in a field": beside(b'"messageType":' + b'[{"a":' * 5_000 + b"1" + b"}]" * 5_000),
    }
    # Just below the limit of the parser, the checks behind it must not fall into the hole instead.
    for depth in (300, 900, 960, 980, 990, 995, 999):
        bodies[f"{depth} arrays"] = beside(b'"x":' + b"[" * depth + b"]" * depth)
        bodies[f"{depth} objects"] = beside(b'"x":' + b'{"a":' * depth + b"1" + b"}" * depth)
    assert await faults_of(service.person(), bodies) == {}


async def test_numbers_that_are_none(service: Service) -> None:
    numbers = {
        "NaN": b"NaN",
        "Infinity": b"Infinity",
        "-Infinity": b"-Infinity",
        "5,000 digits": b"9" * 5_000,
        "5,000 digits, negative": b"-" + b"9" * 5_000,
        "5,000 decimals": b"0." + b"3" * 5_000,
        "a huge exponent": b"1e400",
        "a huge exponent of many digits": b"1e" + b"9" * 5_000,
        "a tiny exponent": b"1e-99999999",
        "plus": b"+1",
        "a leading zero": b"01",
        "hexadecimal": b"0x10",
        "no digits behind the point": b"1.",
        "true in Python's spelling": b"True",
    }
    bodies = {name: beside(b'"messageType":' + number) for name, number in numbers.items()}
    bodies |= {f"{name}, unknown field": beside(b'"x":' + number) for name, number in numbers.items()}
    bodies |= {f"{name}, alone": number for name, number in numbers.items()}
    assert await faults_of(service.person(), bodies) == {}


async def test_names_given_twice(service: Service) -> None:
    bodies = {
        "at the top": beside(b'"message":"Halo"'),
        "in another spelling": beside(b'"\\u006dessage":"Halo"'),
        "nested": beside(b'"messageType":{"a":1,"a":1}'),
        "nested in a list": beside(b'"messageType":[{"a":1,"a":1}]'),
    }
    assert await faults_of(service.person(), bodies) == {}


async def test_characters_that_no_store_takes(service: Service) -> None:
    bad = {
        "an escaped NUL": b"\\u0000",
        "half a pair, high": b"\\ud83d",
        "half a pair, low": b"\\ude0a",
        "a pair the wrong way round": b"\\ude0a\\ud83d",
        "half a pair before text": b"\\ud83dx",
    }
    bodies = {name: message(b"Halo " + text) for name, text in bad.items()}
    bodies |= {f"{name}, in a name": beside(b'"' + text + b'":1') for name, text in bad.items()}
    bodies |= {f"{name}, in a list": beside(b'"x":["' + text + b'"]') for name, text in bad.items()}
    bodies |= {
        f"{name}, in a list of lists": beside(b'"x":[[["' + text + b'"]]]') for name, text in bad.items()
    }
    bodies |= {f"{name}, as id": beside(b'"clientMessageId":"' + text + b'"') for name, text in bad.items()}
    assert await faults_of(service.person(), bodies) == {}


async def test_what_is_no_object(service: Service) -> None:
    values = (b"null", b"true", b"false", b"0", b"1.5", b'""', b'"Halo"', b"[]", b"[{}]", b"{}")
    bodies = {value.decode(): value for value in values}
    bodies["the object in a list"] = b"[" + message(b"Halo") + b"]"
    assert await faults_of(service.person(), bodies) == {}


async def test_the_text_of_a_message_that_says_nothing(service: Service) -> None:
    texts = {
        "empty": "",
        "a space": " ",
        "blanks": " \t\r\n",
        "no-break spaces": "\u00a0\u202f\u2007",
        "wide and thin spaces": "\u2000\u2003\u2009\u3000",
        "line and paragraph separators": "\u2028\u2029\u0085",
        "Ogham space": "\u1680",
    }
    bodies = {
        name: json.dumps({"sessionId": SESSION, "message": text}).encode() for name, text in texts.items()
    }
    assert await faults_of(service.person(), bodies) == {}


async def test_a_body_over_the_limit_is_too_large(service: Service) -> None:
    client = service.person()
    for size in (65 * 1024, 5_000_000):
        reply = await send(client, message(b"a" * size))
        assert_refused(reply, 413, "PAYLOAD_TOO_LARGE")
    chunks = (b"8000\r\n" + b"a" * 0x8000 + b"\r\n") * 3 + b"0\r\n\r\n"
    chunked = post("/chat/messages", client.token, chunks, "Transfer-Encoding: chunked")
    assert_refused(await exchange(service.base, chunked), 413, "PAYLOAD_TOO_LARGE")
    bomb = await send(client, gzip.compress(message(b"a" * 5_000_000)), **{"Content-Encoding": "gzip"})
    assert_refused(bomb)
    assert bomb.status in (400, 413)


async def test_a_body_under_another_content_type_is_refused(service: Service) -> None:
    client, good = service.person(), message(b"Halo")
    types = (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/json; charset=utf-16",
    )
    faults = {}
    for content_type in types:
        reply = await send(client, good, **{"Content-Type": content_type})
        fault = envelope_fault(reply)
        if fault is None and reply.json["code"] == "SESSION_NOT_FOUND":
            fault = "it was read as JSON"
        if fault is not None:
            faults[content_type] = fault
    assert faults == {}


# ---- what must get through --------------------------------------------------------------------------------

TEXTS = (
    "Selamat pagi 😊",
    "👨\u200d👩\u200d👧\u200d👦 🏳️\u200d🌈 👩🏽\u200d⚕️ 🇮🇩",
    "e\u0301 is not \u00e9, and A\u030a is neither \u00c5 nor \u212b",
    "Z\u0351\u036b\u0343a\u0334\u0308l\u0336g\u0335o\u0337",
    "\u202bشكرا جزيلا\u202c, \u05e9\u05dc\u05d5\u05dd, ١٢٣",  # noqa: RUF001 - Arabic
    "ꦱꦸꦒꦼꦁ · 早安 · नमस्ते · \U0001f9d1\U0001f3ff",
    " leading and trailing \n",
    "tabs\tand\r\nlines",
    "quotes \" ' \\ / </script> & %00 \\u0000 {} ${x}",
    "\ufeff and \ufffe and \uffff and \x7f and \x01",
    "\U0010ffff",
    "0",
)


async def test_texts_survive_byte_for_byte_and_their_length_is_counted_in_characters(
    service: Service,
) -> None:
    await service.psychologist()
    client = service.person()
    session_id = await session_soon(client, 1, 60)

    async def is_open() -> bool:
        return (await client.session(session_id))["isChatEnabled"]

    await until(is_open)
    longest = ("a" * 4096, "😊" * 4096, "\u0301" * 4096, "x" + " " * 4095)
    sent = (*TEXTS, *longest)
    for text in sent:
        for escaped in (True, False):
            body = json.dumps({"sessionId": session_id, "message": text}, ensure_ascii=escaped).encode()
            reply = await send(client, body)
            assert reply.status == 201, (text[:40], reply.json)
            assert reply.data["message"].encode() == text.encode()
    for text in ("a" * 4097, "😊" * 4097):
        reply = await client.say(session_id, text)
        assert_refused(reply, 400, "VALIDATION_FAILED")
        assert set(reply.json["errors"]) == {"message"}
    url = f"{service.base}/api/v1/chat/history?sessionId={session_id}&limit=100"
    async with service.client.get(url, headers={"Authorization": f"Bearer {client.token}"}) as answer:
        raw = await answer.read()
    history = [one for one in json.loads(raw.decode("utf-8"))["data"]["data"] if not one["isAutomated"]]
    assert [one["message"].encode() for one in history] == [t.encode() for t in sent for _ in range(2)]
    # Characters are sent as themselves.
    for text in TEXTS[:6]:
        assert text.encode() in raw


async def test_names_and_notes_take_any_script(service: Service) -> None:
    psychologist = await service.psychologist("Dr. Ṣarī 😊 سارة")
    client = service.person(name="ꦧꦸꦢꦶ 👨\u200d👩\u200d👧")
    start = in_days(30)
    session_id = await client.book_session(start, start + timedelta(hours=1), notes="\u0301 😊" * 500)
    session = await client.session(session_id)
    assert session["psychologist"]["fullName"] == psychologist.caller.full_name
    assert session["client"]["fullName"] == client.caller.full_name


async def test_a_body_in_chunks_is_read_and_a_compressed_one_is_read_or_refused(service: Service) -> None:
    client, good = service.person(), message("😊".encode())
    size = f"{len(good):x}".encode()
    chunks = size + b"\r\n" + good + b"\r\n0\r\n\r\n"
    request = post("/chat/messages", client.token, chunks, "Transfer-Encoding: chunked")
    assert_refused(await exchange(service.base, request), 404, "SESSION_NOT_FOUND")
    zipped = await send(client, gzip.compress(good), **{"Content-Encoding": "gzip"})
    assert_refused(zipped)
    assert zipped.code in ("SESSION_NOT_FOUND", "VALIDATION_FAILED")


async def test_no_body_at_all_is_as_good_as_an_empty_object_where_nothing_is_required(
    service: Service,
) -> None:
    """HTTP clients put all kinds of content types beside a body of no bytes, or none."""
    client, path = service.person(), f"/api/v1/counselings/{uuid4()}/cancel"
    types = ("", "Content-Type: application/octet-stream\r\n", "Content-Type: text/plain\r\n")
    found = {}
    for content_type in (*types, "Content-Type: application/json\r\n"):
        head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.token}\r\n{content_type}"
        reply = await exchange(service.base, f"{head}Content-Length: 0\r\n\r\n".encode())
        found[content_type] = (reply.status, reply.code)
    assert found == dict.fromkeys(found, (404, "NOT_FOUND"))
