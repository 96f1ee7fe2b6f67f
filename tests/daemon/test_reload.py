"""Rules that change under a running daemon: a bad file never replaces a good one, and that is said."""

from __future__ import annotations

import asyncio

import pytest

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


async def status(town, expected, within=60):
    """Why the rules are not well, as soon as that is known, or that they are."""
    async with asyncio.timeout(within):
        while True:
            reasons = [reason for part in town.context.reasons for reason in part() if reason.startswith("rules")]
            if bool(reasons) == expected:
                return reasons
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("within", [60, pytest.param(5, marks=pytest.mark.long, id="on a quiet machine")])
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("extends: default\nsteps:\n  - {name: remind, aft", id="cut off while it was written"),
        pytest.param("", id="empty while it was written"),
        pytest.param("extends: default\nstepps: []\n", id="a word that is not known"),
        pytest.param("extends: default\n#" + "x" * 10_000_000, id="ten megabytes"),
        pytest.param(BOMB, id="aliases of aliases of aliases"),
        pytest.param("extends: [default", id="no YAML"),
    ],
)
async def test_a_bad_file_never_replaces_a_good_one(town, make_buyer, text, within):
    """That it is bad, and that it is good again, is said within five seconds."""
    file = town.context.settings.rules_dir / "main.yaml"
    good, policy = file.read_text(), town.context.keeper.book.policies["main"]
    file.write_text(text)
    [reason, *_] = await status(town, True, within)
    assert reason.startswith("rules: main.yaml:")
    assert town.context.keeper.book.policies["main"] is policy
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=1)
    assert len(town.letters.taken) == 1

    draft = file.with_name(".main.new")  # as editors and ConfigMaps do it
    draft.write_text(good.replace("24h", "12h"))
    draft.replace(file)
    await status(town, False, within)
    assert town.context.keeper.book.policies["main"].hash != policy.hash
