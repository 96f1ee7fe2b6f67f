"""Who wants no more texts is understood, in five languages and with typing mistakes of a thumb."""

import pytest

from channels.stop_words import wish

STOPS = """
    STOP Stop stop. «stop» STOP! 'Stop' ＳＴＯＰ 🛑stop🛑 Stopp STOPP! stopall UNSUBSCRIBE End quit REVOKE OptOut CANCEL
    abmelden Abbestellen ENDE Aufhören AUFHÖREN Arrêt ARRET arrêter Désabonner BAJA Alto Basta annulla cancellami
"""


@pytest.mark.parametrize("text", STOPS.split())
def test_one_word_stops(text):
    assert wish(text) == "stop"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "stop all",
            "STOP ALL!!",
            "opt out",
            "Opt-Out",
            "Stop please",
            "please stop",
            "Stop, bitte!",
            "bitte abmelden",
        ),
        *(
            "no más",
            "No mas.",
            "darme de baja",
            "Keine SMS mehr!",
            "keine nachrichten mehr",
            "plus de SMS",
            "niente SMS",
        ),
        *(
            "stop stop stop",
            "STOP ENDE",
            "s'il vous plait STOP",
            "  \n stop \t",
            "don't text me",
            "Lasst mich in Ruhe!",
        ),
        *("leave me alone", "remove me", "stop\u200d", "🤬 STOP 🤬"),
    ],
)
def test_what_a_reasonable_person_understands_stops(text):
    assert wish(text) == "stop"


@pytest.mark.parametrize(
    "text",
    [
        *("", "   ", "👍", "Danke!", "Wann kommt meine Bestellung?", "Kann ich die Bestellung bei Ihnen noch stoppen?"),
        *("please don't stop", "Nicht abmelden bitte", "cancel my order", "ende gut alles gut", "yes", "ja", "1", "?"),
        *("Where is the bus stop nearest to your shop?", "stopover", "The end of the month is fine", "Fine"),
    ],
)
def test_all_else_is_for_a_person(text):
    assert wish(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[(word, "start") for word in ("START", "start!", "Unstop", "Anmelden", "commencer", "Iniciar", "Inizia")],
        *[(word, "help") for word in ("HELP", "help?", "Hilfe!", "INFO", "Aide", "ayuda", "Aiuto", "información")],
    ],
)
def test_start_and_help_are_known(text, expected):
    assert wish(text) == expected
