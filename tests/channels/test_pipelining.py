"""Several envelopes on one connection that dies at any byte: what is said of each message is what the relay saw."""

import pytest

from tests.channels.talk import NUMBERS, SECOND, Relay, address, handed_over

NOBODY = {"DATA": b"503 5.5.1 nobody to give it to\r\n"}


def expected(relay: Relay, number: int) -> set[str]:
    """What may be said of a message, from what it was told in full and what of it has left."""
    whom = address(number)
    for talk in relay.talks:
        told = {verb: reply for verb, one, reply in talk.told if one == whom}
        if f"RCPT TO:<{whom}>".encode() not in talk.stream:
            continue
        for verb in ("RCPT", "DATA"):
            if verb in told and not told[verb].startswith((b"2", b"354")):
                return {"failed"} if told[verb].startswith(b"5") else {"retry_wait"}
        if "." in told and told["."].startswith((b"2", b"4")):
            return {"accepted"} if told["."].startswith(b"2") else {"retry_wait"}
        if "." in told:  # refused by a relay that hung up behind it: only one that stays is believed
            return {"failed", "unknown"} if talk.cut else {"failed"}
        return {"unknown"} if dotted(talk.stream, whom) else {"retry_wait"}
    return {"retry_wait"}


def dotted(stream: bytes, whom: str) -> bool:
    """Whether the whole body to this recipient has left the client, with its dot."""
    body = stream.partition(f"RCPT TO:<{whom}>".encode())[2].partition(b"DATA\r\n")[2].partition(b"MAIL FROM")[0]
    return b"\r\n.\r\n" in body


def asked_for(relay: Relay, number: int) -> bool:
    """Whether the relay has ever asked for this body: before, no octet of it can have left the client."""
    told = [one for talk in relay.talks for one in talk.told]
    return any((verb, whom, reply[:3]) == ("DATA", address(number), b"354") for verb, whom, reply in told)


SCRIPTS = {
    "takes all": {},
    "refuses the second at RCPT": {SECOND: {"RCPT": b"550 5.2.2 full\r\n", **NOBODY}},
    "refuses the second but wants its mail": {SECOND: {"RCPT": b"550 5.2.2 full\r\n", ".": b"554 5.5.1 for whom?\r\n"}},
    "is busy at the second's RCPT": {SECOND: {"RCPT": b"450 4.2.0 later\r\n", **NOBODY}},
    "is busy at the second's DATA": {SECOND: {"DATA": b"451 4.3.0 later\r\n"}},
    "refuses the first after its dot": {address(1): {".": b"554 5.6.0 no\r\n"}},
    "is busy after the first's dot": {address(1): {".": b"451-4.3.0 not\r\n451 4.3.0 now\r\n"}},
}
WHOLE = {
    "takes all": ["accepted"] * 3,
    "refuses the second at RCPT": ["accepted", "failed", "accepted"],
    "refuses the second but wants its mail": ["accepted", "failed", "accepted"],
    "is busy at the second's RCPT": ["accepted", "retry_wait", "accepted"],
    "is busy at the second's DATA": ["accepted", "retry_wait", "accepted"],
    "refuses the first after its dot": ["failed", "accepted", "accepted"],
    "is busy after the first's dot": ["retry_wait", "accepted", "accepted"],
}


@pytest.mark.parametrize("pieces", [10**6, 1, 3], ids=["in one piece", "octet by octet", "by three octets"])
@pytest.mark.parametrize("script", SCRIPTS)
async def test_each_of_three_mails_on_one_connection_gets_its_own_outcome(make_message, script, pieces):
    relay = Relay(SCRIPTS[script], pieces=pieces)
    outcomes = await handed_over(relay, make_message)
    assert [outcomes[number].state for number in NUMBERS] == WHOLE[script]
    assert len(relay.talks) == 1
    assert relay.taken == [address(n) for n, state in zip(NUMBERS, WHOLE[script], strict=True) if state == "accepted"]


async def check_cut(make_message, script: str, dies: dict[str, int], *, rudely: bool = False) -> Relay:
    relay = Relay(SCRIPTS[script], dies, rudely=rudely)
    outcomes = await handed_over(relay, make_message)
    assert sorted(outcomes) == [*NUMBERS], dies
    for number in NUMBERS:
        state = outcomes[number].state
        if rudely:  # what was on its way when the connection was torn is nobody's to know
            assert state in ("accepted", "unknown") or address(number) not in relay.taken, (dies, number)
            assert state in ("retry_wait", "failed") or asked_for(relay, number), (dies, number)
        else:
            assert state in expected(relay, number), (dies, number, outcomes, [talk.told for talk in relay.talks])
    return relay


async def whole_lengths(make_message, script: str) -> tuple[int, int]:
    """Octets that the client sends and the relay says when nothing goes wrong."""
    relay = Relay(SCRIPTS[script])
    await handed_over(relay, make_message)
    return len(relay.talks[0].stream), relay.talks[0].said


@pytest.mark.parametrize("script", SCRIPTS)
async def test_connection_that_dies_while_the_relay_listens(make_message, script):
    hears, _ = await whole_lengths(make_message, script)
    for at in range(1, hears, 61):
        await check_cut(make_message, script, {"hears": at})


@pytest.mark.parametrize("script", SCRIPTS)
async def test_connection_that_dies_while_the_relay_answers(make_message, script):
    _, says = await whole_lengths(make_message, script)
    for at in range(0, says, 5):
        await check_cut(make_message, script, {"says": at})


@pytest.mark.long
@pytest.mark.parametrize("rudely", [False, True], ids=["quietly", "rudely"])
@pytest.mark.parametrize("script", SCRIPTS)
async def test_connection_that_dies_at_every_octet(make_message, script, rudely):
    hears, says = await whole_lengths(make_message, script)
    for at in range(hears):
        await check_cut(make_message, script, {"hears": at}, rudely=rudely)
    for at in range(says):
        await check_cut(make_message, script, {"says": at}, rudely=rudely)
