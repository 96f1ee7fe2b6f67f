"""The rule files of the demo, written the way an operator would write them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from daemon.demo.catalogue import ACCENT, CURRENCY, SHOP

NAME = "morgenrot"
"""The shop's word in shops.yaml."""
SHOPS = """\
# The pretend shop of `tillbell demo`.
shops:
  {name}:
    connector: feed
    mode: live
    title: {title}
    url: {url}
    cart_page: {url}/cart
    zone: Europe/Berlin
    locale: de
    currency: {currency}
    legal: de
    existing_customer_notice: {{since: {since}, version: checkout-2}}
    holdout: 10%
    sender:
      name: {title}
      address: hallo@morgenrot.example
      imprint:
        - {title} Wohnen GmbH
        - Am Sonnenhang 1, 12345 Musterstadt
        - "Amtsgericht Musterstadt, HRB 12345 · Geschäftsführung: Aurora Früh"
    looks: {{logo_url: "{url}/logo.svg", accent: "{accent}"}}
    onsite: {{key: "${{DEMO_SITE_KEY}}", ask_for_push: second_page}}
    audiences:
      meta-abandoners: {{platform: meta, id: "20260302", token: "${{DEMO_META_TOKEN}}", api: "${{DEMO_ADS_URL}}"}}
      google-abandoners:
        {{platform: google, account: "1234567890", id: "20260303", key: "${{DEMO_GOOGLE_KEY}}", terms_accepted: true,
          api: "${{DEMO_ADS_URL}}"}}
    sms: {{price: 0.09 EUR, countries: [DE, GB], budget: {{day: 20 EUR}}}}
    connection:
      url: {url}/tillbell
      token: ${{DEMO_SHOP_TOKEN}}
      secrets: ["${{DEMO_SHOP_KEY}}"]
      products: true
      find_orders: true
"""
POLICY = """\
# Three mails; a notice in the shop for who comes back, a text to those who did not react to the first mail, then a
# push, and ad audiences for those who are still away.
# `tillbell rules show cart` shows all that this inherits.
extends: default
shops: [{name}]
starts: {{total_at_least: 15 EUR}}
steps:
  - {{name: notice, send: onsite, after: 3h, unless: {{remind: [clicked]}}}}
  - {{name: nudge, send: sms, after: 7h, unless: {{remind: [opened, clicked]}}}}
  - {{name: glance, send: webpush, after: 28h, unless: {{doubts: [clicked]}}}}
  - {{name: retarget, send: audience, after: 40h, audience: meta-abandoners, for: 14d}}
  - {{name: retarget-search, send: audience, after: 50h, audience: google-abandoners, for: 14d}}
"""


def write(folder: Path, shop_url: str, since: date) -> None:
    """shops.yaml and one policy. `since`: the first day on which the shop told its customers that they may object."""
    folder.mkdir(parents=True, exist_ok=True)
    shops = SHOPS.format(name=NAME, title=SHOP, url=shop_url, currency=CURRENCY, since=since, accent=ACCENT)
    (folder / "shops.yaml").write_text(shops, encoding="utf-8")
    (folder / "cart.yaml").write_text(POLICY.format(name=NAME), encoding="utf-8")
