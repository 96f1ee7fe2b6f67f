"""Templates show values and can do nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from pathlib import Path

import jinja2
import pytest

from daemon.mail.sandbox import LARGEST, Sandbox, look_at

HERE = Path(__file__).parent
ESCAPES = HERE.joinpath("escapes.txt").read_text().splitlines()
BOMBS = HERE.joinpath("bombs.txt").read_text().splitlines()
SAMPLE = {
    "cart": {"url": "https://shop.example/cart", "total": "9 €"},
    "shop": {"name": "Lindenhof"},
    "lines": [{"name": "Apron"}],
    "mail": {},
    "words": {"x": "y"},
}


def test_the_corpus_is_large_enough():
    assert len(set(ESCAPES)) >= 60
    assert len(set(BOMBS)) >= 10


@pytest.mark.parametrize("snippet", [*ESCAPES, *BOMBS])
def test_refused_with_its_line_within_a_second(snippet):
    began = time.process_time()
    found = look_at(f"Hello\n{snippet}\n", "own/remind.txt").findings
    assert found
    assert {finding.line for finding in found} == {2}
    assert time.process_time() - began < 1


@pytest.mark.parametrize("snippet", ESCAPES)
@pytest.mark.parametrize("html", [True, False])
def test_even_without_the_first_fence_nothing_leaks_or_changes(snippet, html):
    sample = {name: dict(value) if isinstance(value, dict) else list(value) for name, value in SAMPLE.items()}
    printed = ""
    with contextlib.suppress(jinja2.TemplateError, TypeError, KeyError, ValueError):
        printed = Sandbox(html=html).from_string(snippet).render(sample)
    for leak in ("<class", "&lt;class", "object at 0x", "subclasses", "root:", "uid=", "function", "builtin"):
        assert leak not in printed
    assert sample == SAMPLE


@pytest.mark.parametrize("snippet", ["{{ 'A' * 300000000 }}", "{{ 10 ** 5000000 }}", "{{ '%300000000d' % 1 }}"])
def test_products_and_powers_are_stopped_by_the_second_fence_too(snippet):
    with pytest.raises(jinja2.exceptions.SecurityError):
        Sandbox(html=False).from_string(snippet).render()


MONSTERS = [
    pytest.param("{{ (" * 3000 + "1" + ") }}" * 3000, id="parentheses without end"),
    pytest.param("{% if 1 %}" * 3000 + "{% endif %}" * 3000, id="conditions without end"),
    pytest.param("{{ " + "not " * 15000 + "1 }}", id="not not not"),
    pytest.param("{{ " + "1 + " * 15000 + "1 }}", id="a sum without end"),
    pytest.param("{{ " * 15000, id="braces that never close"),
    pytest.param("x" * (LARGEST + 1), id="too large"),
]


@pytest.mark.parametrize("source", MONSTERS)
def test_monsters_are_refused_within_a_second(source):
    began = time.process_time()
    assert look_at(source, "own/remind.txt").findings
    assert time.process_time() - began < 1


@pytest.mark.parametrize("late", [1.0, pytest.param(0.1, marks=pytest.mark.long, id="on a quiet machine")])
@pytest.mark.parametrize("source", [*BOMBS, *MONSTERS])
async def test_the_house_goes_on_while_one_is_refused(source, late, record_property):
    """Templates are looked at beside the loop: the best of ten, as a busy machine is not their fault."""
    lag = await lag_beside(source)
    for _ in range(9):
        lag = min(lag, await lag_beside(source)) if lag > late else lag
    record_property("lag_ms", round(lag * 1000, 1))
    assert lag <= late


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("source", [*BOMBS, *MONSTERS])
def test_none_takes_more_memory_than_a_house_has_left(source, record_property):
    """The most that this process has held since the test began; what is taken and given back at once counts too."""
    before = most_since_now()
    assert look_at(source, "own/remind.txt").findings
    grown = status("VmHWM") - before
    record_property("grown_kb", grown)
    assert grown <= 128 * 1024


def test_what_is_taken_for_a_moment_is_seen():
    """Whoever reads the most that a process ever held sees nothing of what is less than an earlier peak."""
    bytearray(300 << 20)
    before = most_since_now()
    bytearray(200 << 20)
    assert status("VmHWM") - before > 150 * 1024


def most_since_now() -> int:
    """kB that this process holds; from here on VmHWM is counted anew (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def status(word: str) -> int:
    """kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(word))


async def lag_beside(source: str) -> float:
    """Seconds by which the loop was late at most."""
    refused = asyncio.create_task(asyncio.to_thread(look_at, source, "own/remind.txt"))
    late = 0.0
    while not refused.done():
        began = time.monotonic()
        await asyncio.sleep(0.001)
        late = max(late, time.monotonic() - began - 0.001)
    assert refused.result().findings
    return late


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{{ cart.totl }}", 'unknown value "cart.totl"; did you mean "cart.total"?'),
        ("{{ crat.total }}", 'unknown value "crat"; did you mean "cart"?'),
        ("{% for l in lines %}{{ l.nam }}{% endfor %}", 'unknown value "l.nam"; did you mean "l.name"?'),
        ("{{ cart.total|uper }}", 'unknown filter "uper"'),
        ("{% for line in cart %}{% endfor %}", "a loop goes over imprint or lines"),
        ("{% for cart in lines %}{% endfor %}", "cart has a meaning of its own; take another name"),
        ("{% if cart.total %}", "Unexpected end of template"),
    ],
)
def test_a_mistake_has_a_line_and_a_hint(source, says):
    (finding,) = look_at(f"\n\n{source}", "own/remind.txt").findings
    assert str(finding).startswith(f"own/remind.txt:3: {says}")


def test_what_a_template_needs_is_taken():
    source = """{% for line in lines %}{{ loop.index }} {{ line.name|truncate(20) }}{% if line.sold_out %} -{% endif %}
    {% else %}{{ words.empty }}{% endfor %}{{ cart.total if cart.count > 3 and not cart.more else shop["name"]|upper }}
    {% for part in imprint %}{{ part }}{{ "" if loop.last else ", " }}{% endfor %}{{ "a" ~ cart.url|default("b") }}"""
    look = look_at(source, "own/remind.txt")
    assert look.findings == []
    assert look.words == {"empty": 2}
    assert {"cart.total", "shop.name", "lines", "imprint"} <= look.values
