"""Germany, Austria, Switzerland, France, Italy and the United Kingdom."""

from __future__ import annotations

from rules.law.profile import OWN, Profile, Rule, Week, careful, followed, hours, on

PUSH = Rule(
    "A web push needs the person's own consent; a purchase does not stand in for it.",
    "Art. 5(3) directive 2002/58/EC; Art. 6(1)(a) GDPR",
)
ADS = Rule(
    "An ad audience needs a consent of its own (ads_audience): matching hashed addresses at a platform rests on "
    "nothing else here, whatever a purchase or a consent to mails allows.",
    "Art. 6(1)(a) GDPR; " + OWN,
)

DE_ADVERTISING = Rule(
    "A reminder of a cart is advertising: without a ground it may not be sent.",
    "§ 7(2) UWG; BGH 12 September 2013, I ZR 208/12",
    seen="ipwiki.de",
)
DE_TEXTS = Rule("A purchase stands in for consent to e-mails only, not to texts.", "§ 7(2) and (3) UWG, read strictly")
DE_ADS = Rule(
    "Uploading hashed customer lists to match them at a platform is unlawful without consent; hashing makes nobody "
    "anonymous. So an ad audience needs a consent of its own (ads_audience).",
    "VG Bayreuth 8 May 2018, B 1 S 18.105; BayVGH 26 September 2018, 5 CS 18.1157",
    seen="internetlupe.de",
)
DE_CUSTOMERS = Rule(
    "An existing customer may be written to about similar goods of the same shop, if the address came with a "
    "sale, they were told at that moment and are told in each message that they may object, and they did not.",
    "§ 7(3) UWG",
    seen="gvw.com",
)
DE = Profile(
    name="de",
    title="Germany",
    ground_needed_on={
        **on(DE_ADVERTISING, "email"),
        **on(DE_TEXTS, "sms"),
        **on(PUSH, "webpush"),
        **on(DE_ADS, "audience"),
    },
    existing_customers_on=on(DE_CUSTOMERS, "email"),
    tracking_by_consent=followed(
        Rule("Pixel and click tracking need a consent of their own.", "§ 25 TDDDG; EDPB Guidelines 2/2023")
    ),
    proof=Rule(
        "Consent counts when it was confirmed (double opt-in) and can be shown with its wording and process.",
        "BGH 10 February 2011, I ZR 164/09; Art. 7(1) GDPR",
        seen="a report of LDI NRW",
    ),
    weeks={"sms": (careful("DE"),)},
)

AT_ADVERTISING = Rule(
    "Advertising by e-mail or text needs consent given before; texts count as electronic mail.",
    "§ 174(3) TKG 2021",
    seen="wko.at, ra-leitinger.at",
)
AT_CUSTOMERS = Rule(
    "No consent is needed from a customer whose address came with a sale, for similar goods of the same shop, "
    "who could refuse at that moment and can in each message, free of charge.",
    "§ 174(4) TKG 2021",
    seen="ra-leitinger.at, newsroom.sparkasse.at",
)
ECG_LIST = Rule(
    "A purchase is no ground for who stands in the list of those who want no advertising (ECG list, kept by "
    "RTR). tillbell does not see that list: match your customers against it.",
    "§ 174(4) TKG 2021; § 7 ECG",
    seen="newsroom.sparkasse.at",
)
AT = Profile(
    name="at",
    title="Austria",
    ground_needed_on={**on(AT_ADVERTISING, "email", "sms"), **on(PUSH, "webpush"), **on(ADS, "audience")},
    existing_customers_on=on(AT_CUSTOMERS, "email", "sms"),
    tracking_by_consent=followed(
        Rule("Pixel and click tracking need a consent of their own.", "§ 165(3) TKG 2021; EDPB Guidelines 2/2023")
    ),
    also=(ECG_LIST,),
    weeks={"sms": (careful("AT"),)},
)

CH_ADVERTISING = Rule(
    "Automated advertising by e-mail or text needs consent, the right sender, and an easy way out free of "
    "charge; that it is automated makes it mass advertising, however few get it.",
    "Art. 3(1)(o) UWG (SR 241); SLK decision no. 172/20",
    seen="digilaw.ch, datenrecht.ch",
)
CH_CUSTOMERS = Rule(
    "No consent is needed from a customer whose address came with a sale at which they were told that they "
    "may refuse, for similar goods of the same shop.",
    "Art. 3(1)(o) UWG (SR 241)",
    seen="digilaw.ch",
)
CH = Profile(
    name="ch",
    title="Switzerland",
    ground_needed_on={
        **on(CH_ADVERTISING, "email", "sms"),
        **on(Rule("A web push needs the person's own consent.", "Art. 45c FMG (SR 784.10), read strictly"), "webpush"),
        **on(Rule("An ad audience needs a consent of its own (ads_audience).", OWN), "audience"),
    },
    existing_customers_on=on(CH_CUSTOMERS, "email", "sms"),
    tracking_by_consent=followed(
        Rule(
            "Readers must be told of pixel and click tracking and may refuse it. tillbell cannot see whether they were "
            "told, so it asks for consent, which is more than the law does.",
            "Art. 45c FMG (SR 784.10); EDÖB guide on cookies",
            seen="hostpoint.ch, datenrecht.ch",
        )
    ),
    proof=Rule("Consent counts when it was confirmed and can be shown with its wording.", OWN),
    objection=Rule(
        "Whoever withdrew or objected is not written to and not followed.",
        "Art. 30(2)(b) DSG (SR 235.1); Art. 3(1)(o) UWG",
    ),
    weeks={"sms": (careful("CH"),)},
)

FR_ADVERTISING = Rule(
    "Advertising by e-mail or text needs consent given before.",
    "Art. L34-5 code des postes et des communications électroniques, first paragraph",
    seen="cnil.fr, af2m.org",
)
FR_CUSTOMERS = Rule(
    "No consent is needed from a customer, for goods like those they bought from the same shop, who was told "
    "when the address was asked for, could object then and can in each message.",
    "Art. L34-5 code des postes et des communications électroniques, fourth paragraph",
    seen="cnil.fr",
)
FR_HOURS = Rule(
    "Advertising texts go out on working days only, none at night, on Sundays or on public holidays; those of "
    "Alsace and Moselle count for everybody.",
    "af2m charter for business messaging, 1 September 2024 (8:00 to 22:00)",
    seen="af2m.org",
)
FR = Profile(
    name="fr",
    title="France",
    ground_needed_on={**on(FR_ADVERTISING, "email", "sms"), **on(PUSH, "webpush"), **on(ADS, "audience")},
    existing_customers_on=on(FR_CUSTOMERS, "email", "sms"),
    tracking_by_consent=followed(
        Rule(
            "Following a single reader by pixel or click needs a consent of its own.",
            "Art. 82 loi Informatique et Libertés; CNIL recommendation of 14 April 2026",
            seen="mondaq.com, globalpolicywatch.com",
        )
    ),
    weeks={"sms": (Week(FR_HOURS, hours(8, 22), hours(8, 22), None, "FR-6AE"), careful("FR"))},
)

IT_ADVERTISING = Rule(
    "Advertising by e-mail or text needs consent.",
    "Art. 130(1) and (2) Codice privacy (d.lgs. 196/2003)",
    seen="gazzettaufficiale.it, brocardi.it",
)
IT_CUSTOMERS = Rule(
    "No consent is needed for e-mails, and for e-mails only, to an address that came with a sale, for goods "
    "like those bought, if the customer was told, did not refuse, and is told in each that they may.",
    "Art. 130(4) Codice privacy",
    seen="gazzettaufficiale.it, dgrs.it",
)
IT = Profile(
    name="it",
    title="Italy",
    ground_needed_on={**on(IT_ADVERTISING, "email", "sms"), **on(PUSH, "webpush"), **on(ADS, "audience")},
    existing_customers_on=on(IT_CUSTOMERS, "email"),
    tracking_by_consent=followed(
        Rule(
            "Pixel and click tracking need a consent of their own.",
            "Art. 122 Codice privacy; Garante, decision no. 284 of 17 April 2026 (pixels in e-mails)",
            seen="aoshearman.com, nicfab.eu",
        )
    ),
    weeks={"sms": (careful("IT"),)},
)

UK_ADVERTISING = Rule(
    "Marketing by e-mail or text needs consent, asked for each of the two on its own.",
    "Regulation 22(2) PECR 2003; ICO guidance on direct marketing using electronic mail",
    seen="ico.org.uk",
)
UK_CUSTOMERS = Rule(
    "No consent is needed from a customer whose address came with a sale, for similar goods of the same shop, "
    "who could refuse at that moment and can in each message (soft opt-in).",
    "Regulation 22(3) PECR 2003",
    seen="dpnetwork.org.uk",
)
UK = Profile(
    name="uk",
    title="United Kingdom",
    ground_needed_on={
        **on(UK_ADVERTISING, "email", "sms"),
        **on(Rule("A web push needs the person's own consent.", "Regulation 6 PECR 2003, read strictly"), "webpush"),
        **on(ADS, "audience"),
    },
    existing_customers_on=on(UK_CUSTOMERS, "email", "sms"),
    tracking_by_consent=followed(
        Rule(
            "Pixels and links that tell who read need a consent of their own.",
            "Regulation 6 PECR 2003; ICO guidance on storage and access technologies, 29 April 2026",
            seen="insideprivacy.com, scl.org",
        )
    ),
    weeks={"sms": (careful("GB"),)},
)
