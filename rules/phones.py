"""Which phone numbers a text may go to: mobile ones, in the countries that the shop writes to."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache


def barred(number: str, countries: Collection[str]) -> str:
    """Why no text goes to this number (E.164), as the end of a sentence that does not name it; empty: it may go.

    `countries` by ISO 3166-1; none means any. Landlines, premium and service numbers get none: texts to them cost, and
    whoever leaves such a number in a checkout may be paid for them.
    """
    country, kind = _read(number)
    if not country:
        return "the number is none that exists"
    if countries and country not in countries:
        return f"the number is in {country}, and texts go to {', '.join(sorted(countries))} only"
    return "" if kind in ("mobile", "either") else f"the number is no mobile one ({kind})"


@lru_cache(maxsize=4096)
def _read(number: str) -> tuple[str, str]:
    """(country, kind); two empty words for what is no number."""
    import phonenumbers  # noqa: PLC0415  half a second that mails need not wait for
    from phonenumbers import PhoneNumberType as Kind  # noqa: PLC0415

    kinds = {
        Kind.MOBILE: "mobile",
        Kind.FIXED_LINE_OR_MOBILE: "either",
        Kind.FIXED_LINE: "landline",
        Kind.PREMIUM_RATE: "premium rate",
        Kind.TOLL_FREE: "toll free",
        Kind.SHARED_COST: "shared cost",
    }
    try:
        read = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return "", ""
    return phonenumbers.region_code_for_number(read) or "", kinds.get(phonenumbers.number_type(read), "another kind")
