"""What a text costs: parts are counted as the air counts them, and nobody sees half a sign."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.segments import BASIC, EXTENDED, measured, plain, shortened, signs_of

FAMILY = "👨‍👩‍👧"


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        pytest.param("", "GSM-7", 0, 0, id="nothing costs nothing"),
        pytest.param("a" * 160, "GSM-7", 160, 1, id="160 plain letters are one part"),
        pytest.param("a" * 161, "GSM-7", 161, 2, id="one more makes two parts"),
        pytest.param("a" * 306, "GSM-7", 306, 2, id="two parts hold 153 each"),
        pytest.param("a" * 307, "GSM-7", 307, 3, id="and then a third begins"),
        pytest.param("€" * 80, "GSM-7", 160, 1, id="a euro takes the room of two letters"),
        pytest.param("€" * 81, "GSM-7", 162, 2, id="eighty-one euros do not fit into one part"),
        pytest.param("a" * 152 + "€" + "a" * 153, "GSM-7", 307, 3, id="a euro is not parted between two parts"),
        pytest.param("Größe über Ärger @ £ Ø", "GSM-7", 22, 1, id="umlauts cost one letter each"),
        pytest.param("ж" * 70, "UCS-2", 70, 1, id="seventy Cyrillic letters are one part"),
        pytest.param("ж" * 71, "UCS-2", 71, 2, id="one more makes two of 67"),
        pytest.param("ж" * 134, "UCS-2", 134, 2, id="two parts hold 134"),
        pytest.param("a" * 69 + "ж", "UCS-2", 70, 1, id="one strange letter makes all of it dear"),
        pytest.param("😀" * 35, "UCS-2", 70, 1, id="a picture takes two units"),
        pytest.param("ж" * 66 + "😀" + "ж" * 66, "UCS-2", 134, 3, id="a picture is not parted between two parts"),
    ],
)
def test_parts_are_counted_as_the_air_counts_them(text, encoding, units, segments):
    found = measured(text)
    assert (found.encoding, found.units, found.segments) == (encoding, units, segments)


def test_plain_alphabet_is_that_of_the_standard():
    assert len(BASIC) == 127, "128 places, one of which is the escape"
    assert len(EXTENDED) == 10
    assert not BASIC & EXTENDED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("zu\u00a0zweit", "zu zweit", id="a no-break space would double the price"),
        pytest.param(
            "„gut“ – ‚ja‘ …", "\"gut\" - 'ja' ...", id="quotes and dashes of print become those of the keyboard"
        ),
        pytest.param("a\u0000b\r\nc\u202ed", "a b c d", id="controls and turned directions do not get out"),
        pytest.param("Café ☕", "Café ☕", id="letters and pictures stay"),
        pytest.param("a\u200bb\u00adc", "abc", id="what cannot be seen goes"),
    ],
)
def test_signs_that_look_alike_are_the_cheap_ones(text, expected):
    assert plain(text) == expected


@pytest.mark.parametrize(
    ("text", "signs", "expected"),
    [
        pytest.param("Wanderschuh", 11, "Wanderschuh", id="what fits stays whole"),
        pytest.param("Wanderschuh", 10, "Wanders...", id="what does not ends in dots"),
        pytest.param(FAMILY * 5, 4, FAMILY + "...", id="a family stays together"),
        pytest.param("e\u0301" * 6, 5, "e\u0301" * 2 + "...", id="an accent stays on its letter"),
        pytest.param("🇩🇪🇫🇷🇮🇹🇪🇸🇦🇹", 4, "🇩🇪...", id="a flag stays whole"),
        pytest.param("Schuh", 3, "", id="for dots alone there is no use"),
    ],
)
def test_shortening_never_cuts_a_sign(text, signs, expected):
    assert shortened(text, signs) == expected


@given(st.text(max_size=300), st.integers(0, 60))
def test_shortening_keeps_to_its_length(text, signs):
    short = shortened(text, signs)
    assert signs_of(short) <= max(signs, 0)
    assert short == text or text.startswith(short.removesuffix("...").rstrip())


@given(st.text(max_size=600))
def test_plain_text_is_never_dearer(text):
    assert measured(plain(text)).segments <= measured(" ".join(text.split()) + "...").segments * 3
    assert measured(text).segments >= measured(text[:-1]).segments
