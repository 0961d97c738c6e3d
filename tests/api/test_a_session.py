from tests.support.service import Service, whole_second


async def test_a_booked_session_waits_closed(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    session_id = await client.book_session(whole_second(3600), whole_second(7200))
    session = await client.session(session_id)
    assert (session["status"], session["isChatEnabled"]) == ("pending", False)
    reply = await client.say(session_id, "Halo?")
    assert (reply.status, reply.code) == (400, "CHAT_NOT_ENABLED")
