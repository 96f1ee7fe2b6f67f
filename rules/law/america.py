"""The United States: what holds in all of them, and the hours of single states."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from rules.law.profile import OWN, PerCart, Profile, Rule, Week, careful, hours, on
from rules.values import Window

ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles")
FEDERAL = Rule(
    "Marketing texts go out from 8:00 to 21:00.",
    "47 CFR § 64.1200(c)(1); whether consent lifts it is before the courts",
    seen="support.referrizer.com, usestello.com",
)
ONE_PER_CART = Rule(
    "At most one text follows an abandoned cart, and within 48 hours.",
    "carriers' rules for cart reminders, after CTIA's handbook",
    seen="attentive.zendesk.com, help.klaviyo.com",
)
TABLES = "support.referrizer.com, usestello.com"
ONE_TABLE = "usestello.com; other tables do not name the state"


def _state(code: str, name: str, source: str, every: Window, seen: str = TABLES) -> tuple[str, Week]:
    """A state with the same hours on each day."""
    text = f"In {name} texts go out from {every.start:%-H:%M} to {every.end:%-H:%M}."
    return f"US-{code}", Week(Rule(text, source, seen=seen), every, every, every)


def _with_silent_days() -> Iterator[tuple[str, Week]]:
    """States that tell days apart."""
    yield (
        "US-TX",
        Week(
            Rule(
                "In Texas texts go out from 9:00 to 21:00, on Sundays not before 12:00.",
                "Tex. Bus. & Com. Code ch. 302, as SB 140 of 1 September 2025 widened it to texts",
                seen="support.referrizer.com, help.listrak.com",
            ),
            hours(9, 21),
            hours(9, 21),
            hours(12, 21),
        ),
    )
    yield (
        "US-RI",
        Week(
            Rule(
                "In Rhode Island texts go out from 9:00 to 18:00, on Saturdays and Sundays from 10:00 to 17:00, on "
                "public holidays not at all.",
                "R.I. Gen. Laws § 5-61-3.6, for unsolicited sales calls",
                seen="webserver.rilin.state.ri.us, support.referrizer.com, dnc.com",
            ),
            hours(9, 18),
            hours(10, 17),
            hours(10, 17),
            "US-RI",
        ),
    )
    yield (
        "US-LA",
        Week(
            Rule(
                "In Louisiana texts go out from 8:00 to 20:00, on Sundays and public holidays not at all.",
                "La. PSC General Order R-29617 § V(A)(2), for calls",
                seen="dnc.com, usestello.com",
            ),
            hours(8, 20),
            hours(8, 20),
            None,
            "US-LA",
        ),
    )
    yield (
        "US-MS",
        Week(
            Rule(
                "In Mississippi texts go out from 8:00 to 20:00, on public holidays not at all.",
                "Mississippi's telephone solicitation law, for calls",
                seen="support.referrizer.com, dnc.com",
            ),
            hours(8, 20),
            hours(8, 20),
            hours(8, 20),
            "US-MS",
        ),
    )


STATES: dict[str, Week] = dict(
    (
        _state("AL", "Alabama", "Ala. Code § 8-19A", hours(8, 20), ONE_TABLE),
        _state("CA", "California", "Cal. Pub. Util. Code § 2872(c); sources disagree", hours(9, 21), ONE_TABLE),
        _state("CT", "Connecticut", "Conn. Gen. Stat. § 42-288a, as amended on 1 October 2023", hours(9, 20)),
        _state("FL", "Florida", "Fla. Stat. § 501.059 (FTSA)", hours(8, 20)),
        _state("IL", "Illinois", "815 ILCS 305 and 413; sources disagree", hours(9, 21), ONE_TABLE),
        _state("KY", "Kentucky", "KRS 367.46955(3); sources disagree", hours(10, 21), ONE_TABLE),
        _state("MA", "Massachusetts", "M.G.L. ch. 159C § 3; 201 CMR 12.00", hours(8, 20), ONE_TABLE),
        _state("MD", "Maryland", "Md. Code, Com. Law § 14-3201 (SB 90)", hours(8, 20)),
        _state("MI", "Michigan", "MCL 750.540e; sources disagree", hours(9, 21), ONE_TABLE),
        _state("MN", "Minnesota", "Minn. Stat. § 325E.30; sources disagree", hours(9, 21), ONE_TABLE),
        _state("NJ", "New Jersey", "New Jersey's telemarketing law of 2024", hours(8, 20)),
        _state("OK", "Oklahoma", "Okla. Stat. tit. 15 § 775C", hours(8, 20)),
        *_with_silent_days(),
    )
)

NO_GROUND = Rule(
    "An e-mail needs no consent, but a postal address, a true subject, and a way out that is honoured.",
    "CAN-SPAM Act, 15 U.S.C. § 7704; 16 CFR part 316",
    seen="activedemand.com, way2mail.net",
)
TEXTS = Rule(
    "A text needs prior express written consent; a purchase does not stand in for it. Have the wording name "
    "cart reminders.",
    "47 CFR § 64.1200(a)(2) and (f)(9); carriers' rules",
    seen="hallikainen.org, help.klaviyo.com",
)
US = Profile(
    name="us",
    title="United States",
    ground_needed_on={
        **on(TEXTS, "sms"),
        **on(Rule("A web push needs the person's own consent.", OWN), "webpush"),
        **on(Rule("An ad audience needs a consent of its own (ads_audience).", OWN), "audience"),
    },
    existing_customers_on=on(NO_GROUND, "email"),
    tracking_by_consent={},
    free=on(NO_GROUND, "email"),
    proof=Rule("Consent counts when it was confirmed and can be shown with its wording.", OWN),
    objection=Rule(
        "Whoever withdrew or objected is not written to and not followed, at once and on every channel they named.",
        "15 U.S.C. § 7704(a)(4); 47 CFR § 64.1200(a)(10); that it is at once is ours",
    ),
    also=(Rule("Pixel and click tracking need no consent by federal law.", "no federal rule is known to us"),),
    weeks={"sms": (Week(FEDERAL, hours(8, 21), hours(8, 21), hours(8, 21)), careful("US"))},
    states=STATES,
    unknown_zones=ZONES,
    unknown_place=Rule(
        "Where the person's time zone is not known, a text goes out only when it may in all four zones of the "
        "mainland: 12:00 to 20:00 Eastern, on Sundays from 15:00.",
        OWN,
    ),
    cap_rule=Rule(
        "At most three texts in 24 hours (Florida, Oklahoma). tillbell keeps to one, in every state.",
        "Fla. Stat. § 501.616(6)(b); Okla. Stat. tit. 15 § 775C.4",
        seen="blog.clickpointsoftware.com",
    ),
    per_cart={"sms": PerCart(ONE_PER_CART, 1, timedelta(hours=48))},
)
