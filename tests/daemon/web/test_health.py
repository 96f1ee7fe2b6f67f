"""What the operator is told: alive, ready, degraded and why, and the figures."""

import dataclasses
import json

import aiohttp
import pytest
from pydantic import SecretStr

from daemon.errors import ConfigurationError
from daemon.settings import Settings
from daemon.web.serve import serve
from tests.letters import as_process, make_context


async def told(site, path: str, **how: object) -> tuple[int, str]:
    async with site.operator.get(path, **how) as response:
        return response.status, await response.text()


async def test_all_is_well(site):
    assert await told(site, "/healthz") == (200, "ok\n")
    status, text = await told(site, "/readyz")
    assert (status, json.loads(text)) == (200, {"status": "ready", "reasons": []})


async def test_any_part_may_say_why_it_is_degraded(site):
    site.context.reasons.append(lambda: ["rules/main.yaml:3:1 unknown word"])
    status, text = await told(site, "/readyz")
    assert (status, json.loads(text)) == (
        200,
        {"status": "degraded", "reasons": ["rules/main.yaml:3:1 unknown word"]},
    )


async def test_a_process_that_ends_is_not_ready(site):
    site.context.stopping.set()
    status, text = await told(site, "/readyz")
    assert (status, json.loads(text)["status"]) == (503, "stopping")
    assert (await told(site, "/healthz"))[0] == 200


async def test_figures_count_what_came(site):
    letter = await site.letter()
    before = figure(await told(site, "/metrics"), 'tillbell_hits_total{kind="opened"}')
    await site.ask("GET", letter.pixel)
    assert figure(await told(site, "/metrics"), 'tillbell_hits_total{kind="opened"}') == before + 1


async def test_figures_hold_no_address_and_no_token(site):
    letter = await site.letter()
    for path in (letter.pixel, letter.link(), letter.way_out):
        await site.ask("GET", path)
    _, text = await told(site, "/metrics")
    assert letter.email not in text
    assert letter.token("open") not in text


def figure(answer: tuple[int, str], name: str) -> float:
    return next((float(line.split()[-1]) for line in answer[1].splitlines() if line.startswith(name)), 0.0)


async def test_figures_may_ask_for_a_token(site):
    site.context.settings = site.context.settings.model_copy(update={"metrics_token": SecretStr("s3cret")})
    assert (await told(site, "/metrics"))[0] == 401
    assert (await told(site, "/metrics", headers={"Authorization": "Bearer no"}))[0] == 401
    assert (await told(site, "/metrics", headers={"Authorization": "Bearer s3cret"}))[0] == 200


async def test_the_world_does_not_see_the_operators_paths(site):
    for path in ("/metrics", "/healthz", "/readyz", "/"):
        assert (await site.ask("GET", path))[0] == 404


async def test_logs_hold_no_address_and_no_token(site, capfd):
    letter = await site.letter()
    for path in (letter.pixel, letter.link(), letter.way_out, f"/c/{letter.token('open')}"):
        await site.ask("GET", path)
    await site.ask("POST", letter.way_out, data={"do": "unsubscribe"})
    said = capfd.readouterr()
    assert "stopped" in said.out + said.err
    for secret in (letter.email, letter.token("open"), letter.token("unsubscribe"), "127.0.0.1"):
        assert secret not in said.out + said.err


async def test_a_taken_address_is_a_setting_to_mend(site, tmp_path, database):
    context = as_process(site.context, "web-2")
    taken = f"127.0.0.1:{site.served.public_port}"
    for name, value in (("listen", taken), ("private_listen", taken)):
        context = dataclasses.replace(context, settings=Settings(**{"private_listen": "127.0.0.1:0", name: value}))
        with pytest.raises(ConfigurationError, match=f"TILLBELL_{name.upper()}"):
            await serve(context)


async def test_a_worker_has_only_the_private_paths(database, tmp_path):
    context = await make_context(database, tmp_path)
    served = await serve(context, public=False)
    assert (served.public, served.public_port, served.journal_lines()) == (None, 0, 0)
    path = f"http://127.0.0.1:{served.private_port}/readyz"
    async with aiohttp.ClientSession() as operator, operator.get(path) as response:
        assert response.status == 200
    await served.close()
    await context.pool.close()
