"""The house: keys that must be the right ones, and what does not open."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from daemon import tokens
from daemon.errors import ConfigurationError
from daemon.house import pepper_of, signing_keys
from daemon.settings import Settings
from daemon.tokens import Token

TOKEN = Token("unsubscribe", 1, 1)
A, B = "a" * 40, "b" * 40


def chosen(**settings: object) -> Settings:
    return Settings(
        **{name: SecretStr(str(text)) if name in ("secret", "pepper") else text for name, text in settings.items()}
    )


def test_old_links_work_while_the_secret_changes():
    before = signing_keys(chosen(secret=A))
    old = tokens.make(before, TOKEN)
    while_changing = signing_keys(chosen(secret=f"2:{B}, 1:{A}"))
    assert tokens.read(while_changing, old) == TOKEN
    new = tokens.make(while_changing, TOKEN)
    after = signing_keys(chosen(secret=f"2:{B}"))
    assert tokens.read(after, new) == TOKEN
    assert tokens.read(after, old) is None


@pytest.mark.parametrize("text", ["short", f"x:{A}", f"256:{A}", f"2:{B},short", "2:", f"{A},", f"1:{A},1:{B}"])
def test_a_secret_that_cannot_be_one(text):
    with pytest.raises(ConfigurationError, match="TILLBELL_SECRET") as caught:
        signing_keys(chosen(secret=text))
    assert A not in str(caught.value)


def test_without_a_setting_the_key_is_made_once_and_kept(tmp_path):
    settings = chosen(data_dir=tmp_path)
    made = tokens.make(signing_keys(settings), TOKEN)
    assert tokens.read(signing_keys(settings), made) == TOKEN
    [file] = [path for path in tmp_path.rglob("secret") if path.is_file()]
    assert file.stat().st_mode & 0o077 == 0


async def test_another_pepper_is_refused(pool):
    first = await pepper_of(chosen(pepper=A), pool)
    assert await pepper_of(chosen(pepper=A), pool) == first
    with pytest.raises(ConfigurationError, match="TILLBELL_PEPPER") as caught:
        await pepper_of(chosen(pepper=B), pool)
    assert A not in str(caught.value)
    assert B not in str(caught.value)


async def test_a_pepper_that_anybody_could_guess_is_refused(pool):
    with pytest.raises(ConfigurationError, match="TILLBELL_PEPPER"):
        await pepper_of(chosen(pepper="1234"), pool)
