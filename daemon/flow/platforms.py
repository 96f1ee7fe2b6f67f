"""From an audience's words in shops.yaml to the platform behind it."""

from __future__ import annotations

from channels.ads import meta
from channels.ads.base import Platform
from daemon.clock import machine_now
from rules.audiences import AudienceWords


def opened(name: str, words: AudienceWords) -> Platform:
    """Asks nobody anything yet. Whoever opens it closes it."""
    if words.platform == "meta":
        return meta.Meta(meta.Config(words.id, words.token, words.api or meta.API, words.limited_data_use))
    if words.platform == "google":
        from channels.ads import google  # noqa: PLC0415  signing is slow to import

        api = words.api or google.API
        config = google.Config(words.account, words.id, words.key, words.login_account, api)
        return google.Google(config, machine_now)
    from channels.ads import files  # noqa: PLC0415

    return files.Files(files.Config(words.form, words.to, name, words.storage), machine_now)
