"""`tillbell push-keys`: by what push services and browsers know us."""

from __future__ import annotations

from daemon import settings
from daemon.cli.desk import AsJson, console, print_json
from daemon.cli.exits import FINE
from daemon.house import data_dir
from daemon.opening import push_contact, push_key


def push_keys(*, as_json: AsJson = False) -> int:
    """Keys for web push as settings: those in use, else new ones, which are kept nowhere. Whoever has the private one
    can push to your customers."""
    from channels.webpush_bytes import made, signer  # noqa: PLC0415  slow to import

    chosen = settings.read()
    known = push_key(chosen, data_dir(chosen))
    private = known or made()
    public = signer(private).public
    if as_json:
        print_json({"private_key": private, "public_key": public, "contact": push_contact(chosen), "new": not known})
        return FINE
    where = "in the settings" if chosen.push_private_key.get_secret_value() else "in the data folder"
    told = f"in use, {where}" if known else "new and kept nowhere: put them where your settings are"
    for line in (
        f"# {told}",
        f"TILLBELL_PUSH_PRIVATE_KEY={private}",
        f"TILLBELL_PUSH_CONTACT={push_contact(chosen) or 'mailto:you@shop.example'}",
        f"# the public key, which browsers are given: {public}",
    ):
        console().print(line, soft_wrap=True, highlight=False, markup=False)
    return FINE
