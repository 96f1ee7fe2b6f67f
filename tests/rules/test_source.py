"""YAML with places: what is read, what is refused, and where."""

import pytest

from rules.source import LARGEST, Unreadable, did_you_mean, read


def mistakes(text):
    with pytest.raises(Unreadable) as refused:
        read(text, "main.yaml")
    return [str(mistake) for mistake in refused.value.mistakes]


def test_yaml_1_2_is_read_as_it_is_written():
    text = "a: 21:00\nb: no\nc: 2024-05-01\nd: 0x10\ne: 1.5\nf: ~\ng: true\nh: 010\ni: 'x'\nj: [1, two]\n"
    assert read(text, "f").plain() == {
        "a": "21:00", "b": "no", "c": "2024-05-01", "d": 16, "e": 1.5, "f": None, "g": True, "h": "010", "i": "x",
        "j": [1, "two"],
    }  # fmt: skip


def test_every_word_knows_its_place():
    root = read("steps:\n  - {name: remind, after: 1h}\n  - name: doubts\n    after: 24h\n", "main.yaml")
    place = root.find(("steps", 1, "after"))
    assert (str(place), place.path) == ("main.yaml:4:12", "steps[1].after")
    assert str(root.find(("steps", 0, "after"), key=True)) == "main.yaml:2:20"
    assert str(root.find(("steps", 1, "nowhere"))) == "main.yaml:3:5", "what is not there is near what is"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a: 1\na: 2\n", 'main.yaml:2:1 a: the word "a" is here twice', id="a word twice"),
        pytest.param(
            "x: {b: 1, b: 2}\n", 'main.yaml:1:11 x.b: the word "b" is here twice', id="a word twice further down"
        ),
        pytest.param(
            "a: [1\nb: 2", "main.yaml:2:2: this is not YAML: expected ',' or ']', but got ':'", id="open list"
        ),
        pytest.param("a: *x\n", "main.yaml:1:4: this is not YAML: found undefined alias 'x'", id="unknown alias"),
        pytest.param("a: &a\n  b: *a\n", "main.yaml:1:4 a.b: this alias contains itself", id="an endless alias"),
        pytest.param("? [1]\n: 2\n", "main.yaml:1:3: a word must be a plain text", id="a list as a word"),
        pytest.param("a: 1\n---\nb: 2\n", "main.yaml:2:1: this is not YAML: but found another document", id="two"),
        pytest.param(
            "a: !!python/object:os.system x",
            'main.yaml:1:4 a: the tag "tag:yaml.org,2002:python/object:os.system" is not known here',
            id="code in a tag",
        ),
        pytest.param(
            "\tx: 1", "main.yaml:1:1: this is not YAML: found character '\\t' that cannot start any token", id="tab"
        ),
        pytest.param("a: " + "[" * 5000, "main.yaml:1:1: the file is nested too deeply", id="nested without end"),
        pytest.param("a: '" + "x" * LARGEST + "'", "main.yaml:1:1: the file is larger than 1 MB", id="too large"),
    ],
)
def test_refused(text, expected):
    assert mistakes(text) == [expected]


def test_a_billion_laughs_are_not_laughed():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    (mistake,) = mistakes("\n".join(lines))
    assert "more than 20000 words with the aliases written out" in mistake


def test_an_alias_is_fine_where_it_is_small():
    assert read("a: &x [1, 2]\nb: *x\n", "f").plain() == {"a": [1, 2], "b": [1, 2]}


def test_an_empty_file_is_an_empty_mapping():
    assert read("", "f").plain() == {}
    assert read("# nothing\n", "f").plain() == {}


def test_did_you_mean():
    assert did_you_mean("afer", ["after", "send"]) == '; did you mean "after"?'
    assert did_you_mean("zzz", ["after", "send"]) == ""
