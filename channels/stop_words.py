"""What somebody who answers a text wants: no more of them, some again, or help. In de, en, fr, es and it."""

from __future__ import annotations

import unicodedata
from typing import Literal

Wish = Literal["stop", "start", "help"]

STOP = frozenset(
    ("stop", "stopp", "stopall", "unsubscribe", "end", "quit", "revoke", "optout", "cancel", "remove", "abmelden",
     "abmeldung", "abbestellen", "austragen", "ende", "beenden", "aufhoren", "schluss", "widerruf", "widerrufen",
     "loschen", "arret", "arrets", "arreter", "arretez", "stopper", "desabonner", "desabonnement", "desinscription",
     "desinscrire", "fin", "resilier", "baja", "alto", "parar", "pare", "basta", "cancelar", "detener",
     "desuscribir", "fuera", "annulla", "cancella", "cancellami", "disiscrivi", "disiscrivimi", "ferma", "smettila")
)  # fmt: skip
"""Alone, each of them means stop. Those at the beginning, but for `stopp`, are what carriers and the FCC name."""
STOPS_ANYHOW = frozenset(
    ("stop", "stopp", "stopall", "unsubscribe", "optout", "abmelden", "abbestellen", "austragen", "arret", "arretez",
     "desabonner", "desinscrire", "baja", "basta", "disiscrivimi", "cancellami")
)  # fmt: skip
"""At the beginning or the end of a short text, too: `stop please`, `bitte abmelden`."""
SAYINGS = frozenset((
    "stop all", "opt out", "opt me out", "no more", "no more texts", "no more messages", "remove me", "take me off",
    "leave me alone", "stop texting me", "do not text me", "dont text me", "do not contact me", "dont contact me",
    "not interested", "keine sms", "keine sms mehr", "keine nachrichten mehr", "nicht mehr schreiben", "kein interesse",
    "lasst mich in ruhe", "hort auf", "hor auf", "ich mochte keine sms mehr", "plus de sms", "plus de messages",
    "ne plus recevoir", "pas interesse", "laissez moi tranquille", "no mas", "no mas mensajes", "no mas sms",
    "no quiero mas mensajes", "darme de baja", "dar de baja", "dame de baja", "no me interesa", "dejen de escribirme",
    "niente sms", "niente piu sms", "non scrivetemi piu", "non voglio piu sms", "non mi interessa",
))  # fmt: skip
NOT = frozenset(("not", "dont", "never", "nicht", "nie", "kein", "pas", "no", "non"))
START = frozenset(
    ("start", "unstop", "resume", "anmelden", "fortsetzen", "wieder", "commencer", "reprendre", "iniciar", "reanudar",
     "comenzar", "inizia", "riprendi", "ricomincia")
)  # fmt: skip
"""`Yes` is not among them: it may answer anything."""
HELP = frozenset(
    ("help", "info", "information", "hilfe", "aide", "ayuda", "informacion", "aiuto", "informazioni", "infos")
)
SHORT = 4
"""Words: in a longer text a person has to look."""
LETTERS = str.maketrans({"ß": "ss", "œ": "oe", "æ": "ae", "ø": "o", "'": "", "’": "", "´": "", "`": ""})


def wish(text: str) -> Wish | None:
    """None: none of the three for certain, so a person reads it. Case, accents, signs and pictures do not matter."""
    words = spelled(text)
    if not words:
        return None
    whole = " ".join(words)
    if whole.replace(" ", "") in STOP or whole in SAYINGS or all(word in STOP for word in words):
        return "stop"
    if len(words) <= SHORT and not NOT & set(words) and STOPS_ANYHOW & {words[0], words[-1]}:
        return "stop"
    if whole in START:
        return "start"
    return "help" if whole in HELP else None


def spelled(text: str) -> list[str]:
    """The words in small letters without accents; whatever is neither letter nor digit parts them."""
    folded = unicodedata.normalize("NFKD", text.translate(LETTERS).casefold())
    letters = "".join(one if one.isalnum() else " " for one in folded if not unicodedata.combining(one))
    return letters.split()
