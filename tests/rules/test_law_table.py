"""Each rule of each country, by what comes of it: take one out, and its line here goes red."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain
from zoneinfo import ZoneInfo

import pytest

from rules import law
from rules.facts import Bought, Cart, Consent, Counted, Facts, Person, Send, Stop, Taken, Wait
from rules.ladder import decide
from rules.policy import Policy

LEFT = datetime(2026, 5, 5, 10, tzinfo=UTC)  # a Tuesday
HOME = {"de": "Europe/Berlin", "at": "Europe/Vienna", "ch": "Europe/Zurich", "fr": "Europe/Paris", "it": "Europe/Rome",
        "uk": "Europe/London", "us": "America/New_York", "none": "Asia/Tokyo"}  # fmt: skip
PHONE = {"de": "+4915112345678", "at": "+436641234567", "ch": "+41781234567", "fr": "+33612345678", 
         "it": "+393331234567", "uk": "+447911123456", "us": "+12125551234", "none": "+819012345678"}  # fmt: skip
ANYWHERE = "+79161234567"
"""A Russian mobile: its prefix spans too many zones to tell one."""
BOUGHT = {"last_bought": Bought("4711", LEFT)}
SEES_NOT = {"§ 174(4) TKG 2021; § 7 ECG"}
"""Rules that tillbell can only tell of: it does not see the list that they are about."""


def said(state, channel="email"):
    return {"consents": {law.PURPOSES[channel]: Consent(state, 812, LEFT - timedelta(days=9))}}


def agreed(channel, **more):
    return {**said("confirmed", channel), **more}


def tried(profile, channel, at="2026-05-05 12:00", zone=None, counted=(), taken=(), **person):
    """What a ladder of one step decides at this wall clock, two hours after the cart was left; and all that it says."""
    home = HOME[profile] if zone is None else zone
    now = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(home or "America/New_York"))
    left = now.astimezone(UTC) - timedelta(hours=2)
    phone = PHONE[profile] if home else ANYWHERE
    who = Person({"email": "a@b.test", "phone": phone, "push": "p", "onsite": "o"}, zone=home, **person)
    cart, gone, before = Cart(left, Decimal(50), "EUR"), taken(left) if taken else (), counted(left) if counted else ()
    facts = Facts(cart, who, left, notice_since=LEFT, taken=tuple(gone), counted=tuple(before), shop_zone="UTC")
    step = {"name": "a", "send": "email", "after": "1h"}
    policy = Policy.model_validate({"name": "p", "legal": profile, "starts": {"rests_for": "30m"}, "steps": [step]})
    policy = policy.altered(steps=tuple(one.model_copy(update={"send": channel}) for one in policy.steps))
    verdict = decide(policy, facts, now.astimezone(UTC))
    told = " ".join([verdict.because, *(one.answer for one in verdict.questions)])
    match verdict:
        case Send():
            return "goes", told
        case Wait(reason="watching"):
            failed = [one.about for one in verdict.questions if not one.passed]
            return f"left out: {failed[-1]}", told
        case Wait():
            local = verdict.until.astimezone(ZoneInfo(home or "America/New_York"))
            return f"{verdict.reason} until {local:%a %H:%M}", told
        case Stop():
            return f"stop: {verdict.reason}", told


def a_text_this_morning(left):
    return [Counted("sms", left - timedelta(hours=1))]


def a_text_for_this_cart(left):
    return [Taken("early", "sms", "delivered", left)]


NO_GROUND, GOES = "left out: no_basis", "goes"
ROWS = {
    "de": [
        ("§ 7(2) UWG; BGH 12 September 2013", "email", {}, NO_GROUND),
        ("§ 7(2) and (3) UWG, read strictly", "sms", BOUGHT, NO_GROUND),
        ("Art. 5(3) directive 2002/58/EC", "webpush", BOUGHT, NO_GROUND),
        ("BayVGH 26 September 2018, 5 CS 18.1157", "audience", BOUGHT, NO_GROUND),
        ("§ 7(3) UWG", "email", BOUGHT, GOES),
        ("BGH 10 February 2011, I ZR 164/09", "email", said("requested"), NO_GROUND),
        ("§ 25 TDDDG", "email", agreed("email"), GOES),
        ("Art. 7(3) and 21(3) GDPR", "email", {**BOUGHT, **said("withdrawn")}, NO_GROUND),
        ("a person gets at most one text in 24 hours", "sms",
         agreed("sms", counted=a_text_this_morning), "cap until Wed 09:00"),
        ("on public holidays neither", "sms", agreed("sms", at="2026-05-14 10:00"), "hours until Thu 12:00"),
    ],
    "at": [
        ("§ 174(3) TKG 2021", "email", {}, NO_GROUND),
        ("§ 174(3) TKG 2021", "sms", {}, NO_GROUND),
        ("Art. 5(3) directive 2002/58/EC", "webpush", BOUGHT, NO_GROUND),
        ("Art. 6(1)(a) GDPR; tillbell's own", "audience", BOUGHT, NO_GROUND),
        ("(§ 174(4) TKG 2021; noted", "email", BOUGHT, GOES),
        ("(§ 174(4) TKG 2021; noted", "sms", BOUGHT, GOES),
        ("Art. 7(1) GDPR", "email", said("hint"), NO_GROUND),
        ("§ 165(3) TKG 2021", "email", agreed("email"), GOES),
        ("Art. 7(3) and 21(3) GDPR", "sms", {**BOUGHT, **said("withdrawn", "sms")}, NO_GROUND),
        ("a person gets at most one text in 24 hours", "sms",
         agreed("sms", counted=a_text_this_morning), "cap until Wed 09:00"),
        ("on public holidays neither", "sms", agreed("sms", at="2026-10-26 10:00"), "hours until Mon 12:00"),
    ],
    "ch": [
        ("SLK decision no. 172/20", "email", {}, NO_GROUND),
        ("SLK decision no. 172/20", "sms", {}, NO_GROUND),
        ("Art. 45c FMG (SR 784.10), read strictly", "webpush", BOUGHT, NO_GROUND),
        ("an ad audience needs a consent of its own", "audience", BOUGHT, NO_GROUND),
        ("(Art. 3(1)(o) UWG (SR 241); noted", "email", BOUGHT, GOES),
        ("(Art. 3(1)(o) UWG (SR 241); noted", "sms", BOUGHT, GOES),
        ("consent counts when it was confirmed", "email", said("requested"), NO_GROUND),
        ("EDÖB guide on cookies", "email", agreed("email"), GOES),
        ("Art. 30(2)(b) DSG", "email", {**BOUGHT, **said("withdrawn")}, NO_GROUND),
        ("a person gets at most one text in 24 hours", "sms",
         agreed("sms", counted=a_text_this_morning), "cap until Wed 09:00"),
        ("on public holidays neither", "sms", agreed("sms", at="2026-08-01 10:00"), "hours until Sat 12:00"),
    ],
    "fr": [
        ("électroniques, first paragraph", "email", {}, NO_GROUND),
        ("électroniques, first paragraph", "sms", {}, NO_GROUND),
        ("Art. 5(3) directive 2002/58/EC", "webpush", BOUGHT, NO_GROUND),
        ("Art. 6(1)(a) GDPR; tillbell's own", "audience", BOUGHT, NO_GROUND),
        ("électroniques, fourth paragraph", "email", BOUGHT, GOES),
        ("électroniques, fourth paragraph", "sms", BOUGHT, GOES),
        ("Art. 7(1) GDPR", "sms", said("requested", "sms"), NO_GROUND),
        ("CNIL recommendation of 14 April 2026", "email", agreed("email"), GOES),
        ("Art. 7(3) and 21(3) GDPR", "email", {**BOUGHT, **said("withdrawn")}, NO_GROUND),
        ("a person gets at most one text in 24 hours", "sms",
         agreed("sms", counted=a_text_this_morning), "cap until Wed 09:00"),
        ("af2m charter", "sms", agreed("sms", at="2026-05-10 15:00"), "hours until Mon 09:00"),
        ("af2m charter", "sms", agreed("sms", at="2026-07-14 15:00"), "hours until Wed 09:00"),
        ("af2m charter", "sms", agreed("sms", at="2026-05-05 23:00"), "hours until Wed 09:00"),
        ("not a law", "sms", agreed("sms", at="2026-05-05 21:00"), "hours until Wed 09:00"),
    ],
    "it": [
        ("Art. 130(1) and (2) Codice privacy", "email", {}, NO_GROUND),
        ("Art. 130(1) and (2) Codice privacy", "sms", BOUGHT, NO_GROUND),
        ("Art. 5(3) directive 2002/58/EC", "webpush", BOUGHT, NO_GROUND),
        ("Art. 6(1)(a) GDPR; tillbell's own", "audience", BOUGHT, NO_GROUND),
        ("Art. 130(4) Codice privacy", "email", BOUGHT, GOES),
        ("Art. 7(1) GDPR", "email", said("hint"), NO_GROUND),
        ("Garante, decision no. 284 of 17 April 2026", "email", agreed("email"), GOES),
        ("Art. 7(3) and 21(3) GDPR", "email", {**BOUGHT, **said("withdrawn")}, NO_GROUND),
        ("a person gets at most one text in 24 hours", "sms",
         agreed("sms", counted=a_text_this_morning), "cap until Wed 09:00"),
        ("on public holidays neither", "sms", agreed("sms", at="2026-06-02 10:00"), "hours until Tue 12:00"),
    ],
    "uk": [
        ("Regulation 22(2) PECR 2003", "email", {}, NO_GROUND),
        ("Regulation 22(2) PECR 2003", "sms", {}, NO_GROUND),
        ("Regulation 6 PECR 2003, read strictly", "webpush", BOUGHT, NO_GROUND),
        ("Art. 6(1)(a) GDPR; tillbell's own", "audience", BOUGHT, NO_GROUND),
        ("Regulation 22(3) PECR 2003", "email", BOUGHT, GOES),
        ("Regulation 22(3) PECR 2003", "sms", BOUGHT, GOES),
        ("Art. 7(1) GDPR", "email", said("requested"), NO_GROUND),
        ("ICO guidance on storage and access", "email", agreed("email"), GOES),
        ("Art. 7(3) and 21(3) GDPR", "sms", {**BOUGHT, **said("withdrawn", "sms")}, NO_GROUND),
        ("a person gets at most one text in 24 hours", "sms",
         agreed("sms", counted=a_text_this_morning), "cap until Wed 09:00"),
        ("on public holidays neither", "sms", agreed("sms", at="2026-05-25 10:00"), "hours until Mon 12:00"),
    ],
    "us": [
        ("CAN-SPAM Act", "email", {}, GOES),
        ("CAN-SPAM Act", "email", BOUGHT, GOES),
        ("47 CFR § 64.1200(a)(2) and (f)(9)", "sms", BOUGHT, NO_GROUND),
        ("a web push needs the person's own consent", "webpush", BOUGHT, NO_GROUND),
        ("an ad audience needs a consent of its own", "audience", BOUGHT, NO_GROUND),
        ("consent counts when it was confirmed", "sms", said("requested", "sms"), NO_GROUND),
        ("15 U.S.C. § 7704(a)(4)", "email", {**BOUGHT, **said("withdrawn")}, NO_GROUND),
        ("carriers' rules for cart reminders", "sms", agreed("sms", taken=a_text_for_this_cart), "left out: cap"),
        ("Fla. Stat. § 501.616(6)(b)", "sms", agreed("sms", counted=a_text_this_morning), "cap until Wed 09:00"),
        ("47 CFR § 64.1200(c)(1)", "sms", agreed("sms", at="2026-05-05 21:00"), "hours until Wed 09:00"),
        ("on public holidays neither", "sms", agreed("sms", at="2026-05-25 10:00"), "hours until Mon 12:00"),
        ("in all four zones", "sms", agreed("sms", zone="", at="2026-05-05 11:00"), "hours until Tue 12:00"),
    ],
    "none": [
        ("whoever chooses this profile answers", "email", {}, GOES),
        ("whoever chooses this profile answers", "email", BOUGHT, GOES),
        ("own consent even so", "sms", BOUGHT, NO_GROUND),
        ("own consent even so", "webpush", BOUGHT, NO_GROUND),
        ("own consent even so", "audience", BOUGHT, NO_GROUND),
        ("consent counts when it was confirmed", "sms", said("hint", "sms"), NO_GROUND),
        ("Art. 7(3) and 21(3) GDPR", "email", said("withdrawn"), NO_GROUND),
        ("a person gets at most one text in 24 hours", "sms",
         agreed("sms", counted=a_text_this_morning), "cap until Wed 09:00"),
        ("on Sundays not before 12:00", "sms", agreed("sms", at="2026-05-10 10:00"), "hours until Sun 12:00"),
    ],
}  # fmt: skip
STATES = {  # ISO code: (weekdays, Saturday, Sunday, public holiday), and where its rule is written
    "AL": ("8-20", "8-20", "8-20", "8-20", "Ala. Code § 8-19A"),
    "CA": ("9-21", "9-21", "9-21", "9-21", "Cal. Pub. Util. Code § 2872(c)"),
    "CT": ("9-20", "9-20", "9-20", "9-20", "Conn. Gen. Stat. § 42-288a"),
    "FL": ("8-20", "8-20", "8-20", "8-20", "Fla. Stat. § 501.059"),
    "IL": ("9-21", "9-21", "9-21", "9-21", "815 ILCS 305 and 413"),
    "KY": ("10-21", "10-21", "10-21", "10-21", "KRS 367.46955(3)"),
    "LA": ("8-20", "8-20", "none", "none", "La. PSC General Order R-29617"),
    "MA": ("8-20", "8-20", "8-20", "8-20", "M.G.L. ch. 159C § 3"),
    "MD": ("8-20", "8-20", "8-20", "8-20", "Md. Code, Com. Law § 14-3201"),
    "MI": ("9-21", "9-21", "9-21", "9-21", "MCL 750.540e"),
    "MN": ("9-21", "9-21", "9-21", "9-21", "Minn. Stat. § 325E.30"),
    "MS": ("8-20", "8-20", "8-20", "none", "Mississippi's telephone solicitation law"),
    "NJ": ("8-20", "8-20", "8-20", "8-20", "New Jersey's telemarketing law"),
    "OK": ("8-20", "8-20", "8-20", "8-20", "Okla. Stat. tit. 15 § 775C"),
    "RI": ("9-18", "10-17", "10-17", "none", "R.I. Gen. Laws § 5-61-3.6"),
    "TX": ("9-21", "9-21", "12-21", "9-21", "Tex. Bus. & Com. Code ch. 302"),
}
DAYS = {"weekdays": "2026-05-05", "Saturday": "2026-05-09", "Sunday": "2026-05-10", "holiday": "2026-12-25"}


def rows():
    for profile, lines in ROWS.items():
        for source, channel, known, expected in lines:
            yield pytest.param(profile, source, channel, known, expected, id=f"{profile}: {source}, {channel}")


@pytest.mark.parametrize(("profile", "source", "channel", "known", "expected"), list(rows()))
def test_a_rule_decides_and_why_quotes_it_with_its_source_and_date(profile, source, channel, known, expected):
    decided, told = tried(profile, channel, **known)
    assert decided == expected
    [rule] = [rule for rule in every_rule(profile) if source.lower() in str(rule).lower() and str(rule) in told]
    assert f'by profile "{profile}"' in told or f'profile "{profile}" sets' in told
    assert rule.noted in told


def every_rule(profile):
    found = law.PROFILES[profile]
    return dict.fromkeys((*found.rules, *(week.rule for week in chain(*found.weeks.values()))))


@pytest.mark.parametrize("profile", law.PROFILES)
def test_no_rule_is_without_a_line_of_this_table(profile):
    named = [source.lower() for source, *_ in ROWS[profile]]
    idle = [str(rule) for rule in every_rule(profile) if not any(one in str(rule).lower() for one in named)]
    told_only = [rule for rule in idle if any(source in rule for source in (*SEES_NOT, "no federal rule is known"))]
    assert idle == told_only


def test_every_state_of_this_table_is_known_and_no_other():
    assert set(law.PROFILES["us"].states) == {f"US-{state}" for state in STATES}


@pytest.mark.parametrize("state", STATES)
def test_the_hours_of_a_state(state):
    *spans, source = STATES[state]
    week = law.PROFILES["us"].states[f"US-{state}"]
    assert source in week.rule.source
    for day, span in zip(DAYS.values(), spans, strict=True):
        for hour in range(24):
            low, high = map(int, span.split("-")) if span != "none" else (0, 0)
            local = datetime.fromisoformat(f"{day} {hour:02}:30")
            assert week.holds(local) is (low <= hour < high), f"{day} {hour}:30"


@pytest.mark.parametrize("state", STATES)
def test_a_text_at_night_waits_and_why_names_the_state_s_own_rule(state):
    decided, told = tried("us", "sms", at="2026-05-05 22:00", region=f"US-{state}", **said("confirmed", "sms"))
    assert decided.startswith("hours until Wed ")
    assert str(law.PROFILES["us"].states[f"US-{state}"].rule) in told


@pytest.mark.parametrize("profile", law.PROFILES)
def test_with_every_consent_nothing_is_in_the_way_at_noon(profile):
    everything = {
        purpose: Consent("confirmed", 1, LEFT) for purpose in (*law.PURPOSES.values(), "track_open", "track_click")
    }
    for channel in (*law.PURPOSES, "onsite"):
        decided, told = tried(profile, channel, consents=everything)
        assert decided == "goes"
        assert "No pixel" not in told


def test_after_two_days_why_names_the_american_rule():
    person = Person({"phone": "+12125551234"}, zone=HOME["us"], **said("confirmed", "sms"))
    facts = Facts(Cart(LEFT, Decimal(50), "EUR"), person, LEFT)
    step = {"name": "a", "send": "email", "after": "47h"}
    policy = Policy.model_validate({"name": "p", "legal": "us", "steps": [step]})
    policy = policy.altered(steps=tuple(one.model_copy(update={"send": "sms"}) for one in policy.steps))
    answers = [one.answer for one in decide(policy, facts, LEFT + timedelta(hours=49)).questions if not one.passed]
    assert "and within 48 hours. (carriers' rules" in answers[0]
