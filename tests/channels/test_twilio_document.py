"""Our requests before a mock of Twilio that is made of Twilio's own OpenAPI document: it refuses what does not fit."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from channels.base import Asked, Message, Outcome, Text, attempt
from channels.http import Client
from channels.sms import Config, Sms
from channels.twilio_api import FORM, PATH
from daemon.embedded.process import free_port

pytestmark = pytest.mark.long

PRISM = "@stoplight/prism-cli@5.14.2"
BROUGHT_BY, DOCUMENT = "@twilio/cli-core@8.3.2", "package/src/services/twilio-api/twilio_api_v2010.json"
"""Twilio's own package that the document comes in. TILLBELL_TWILIO_SPEC names another copy of it."""
AC, NUMBER = "AC" + "a" * 32, "+14155552345"
"""The account and the number of the document's examples, which the mock answers with."""
LINK = "https://t.example/s/7WcQf2mX1bTnLkq9"
TEXT = Text(f"Laden: wartet. {LINK} Abmelden: STOPP", timedelta(minutes=10), callback_url="https://t.example/hooks?m=x")
SENDERS = ("+4930123456", "Morgenrot", "83800", "MG" + "5" * 32, "whatsapp:+4930123456")
PATIENCE = 120


@dataclass(frozen=True)
class Mock:
    url: str
    spec: dict[str, Any]

    @property
    def create(self) -> dict[str, Any]:
        """What the document says of sending a message."""
        return dict(self.spec["paths"][PATH.format(account="{AccountSid}")]["post"])


def run(*command: str, cwd: Path) -> None:
    try:
        subprocess.run(command, cwd=cwd, check=True, capture_output=True, timeout=PATIENCE)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"{command[-1]} cannot be had here: {type(error).__name__}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With Prism and the document in it."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    made = tmp_path_factory.mktemp("prism")
    run(
        npm,
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--prefix",
        str(made),
        PRISM,
        cwd=made,
    )
    if given := os.environ.get("TILLBELL_TWILIO_SPEC"):
        shutil.copy(given, made / "spec.json")
        return made
    run(npm, "pack", "--silent", BROUGHT_BY, cwd=made)
    with tarfile.open(next(made.glob("*.tgz"))) as packed:
        whole = packed.extractfile(DOCUMENT)
        assert whole is not None
        (made / "spec.json").write_bytes(whole.read())
    return made


@pytest.fixture(scope="module")
def mock(folder: Path) -> Iterator[Mock]:
    port = free_port()
    program = folder / "node_modules" / ".bin" / "prism"
    command = [str(program), "mock", "-h", "127.0.0.1", "-p", str(port), str(folder / "spec.json")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield Mock(f"http://127.0.0.1:{port}", json.loads((folder / "spec.json").read_text("utf-8")))
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture
async def make_sms(mock: Mock) -> AsyncIterator[Any]:
    made: list[Sms] = []
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection(*mock.url.removeprefix("http://").split(":"))
            except OSError:
                await asyncio.sleep(0.1)
            else:
                writer.close()
                break

    def make(sender: str) -> Sms:
        spans = {"connect_within": timedelta(seconds=60), "answer_within": timedelta(seconds=60)}
        made.append(Sms(Config(account=AC, token=SecretStr("token"), sender=sender, base_url=mock.url, **spans)))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def always(message: Message) -> bool:
    return True


def content(sender: str) -> Text:
    if not sender.startswith("whatsapp:"):
        return TEXT
    return Text("", TEXT.valid_for, template="HX" + "7" * 32, values={"4": LINK}, callback_url=TEXT.callback_url)


@pytest.mark.parametrize("sender", SENDERS)
async def test_document_knows_every_word_we_say(mock, make_sms, sender):
    form = make_sms(sender).form(Message(1, 1, 1, NUMBER, content(sender)))
    schema = mock.create["requestBody"]["content"][FORM]["schema"]
    assert set(form) <= set(schema["properties"])
    assert set(schema["required"]) <= set(form)
    assert [*mock.create["responses"]] == ["201"]


@pytest.mark.parametrize("sender", SENDERS)
async def test_mock_takes_the_message(mock, make_sms, sender):
    sms, sent = make_sms(sender), Message(1, 1, 1, NUMBER, content(sender))
    outcome = await attempt(sms, sent, always)
    if sender.startswith("whatsapp:"):
        assert outcome.code == "201", "its example names another number than ours, so it proves nothing to us"
    else:
        assert outcome == Outcome("accepted", provider_id="SM" + "a" * 32)


async def test_mock_takes_the_question_for_what_was_sent(make_sms):
    found = await make_sms(SENDERS[0]).look_up(Asked(1, NUMBER, TEXT, datetime(2026, 3, 2, tzinfo=UTC)))
    assert found.word == "absent", "its list has other texts than ours"


@pytest.mark.parametrize(
    ("form", "login", "status"),
    [
        pytest.param(b"Body=hi", "Basic QTpi", 422, id="to nobody"),
        pytest.param(b"To=%2B14155552345&ValidityPeriod=soon", "Basic QTpi", 422, id="valid until nobody knows when"),
        pytest.param(b"To=%2B14155552345&ContentSid=HX1", "Basic QTpi", 422, id="a template that is none"),
        pytest.param(b"To=%2B14155552345&Body=hi", "", 401, id="by nobody"),
    ],
)
async def test_mock_refuses_what_does_not_fit(mock, make_sms, form, login, status):
    """Else what it takes would prove nothing."""
    del make_sms  # it listens from here on
    span = timedelta(seconds=60)
    client = Client({"Authorization": login} if login else {}, connections=1, connect_within=span, answer_within=span)

    async def gate() -> bool:
        return True

    answer = await client.post(mock.url + PATH.format(account=AC), form, FORM, gate)
    await client.close()
    assert answer.status == status
