"""An operator's templates are tried in a process of their own, with a second and 128 MB."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.mail import trial
from daemon.mail.template import SHIPPED, load


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "templates"
    folder.mkdir()
    for name in ("remind.mjml", "remind.txt"):
        shutil.copy(SHIPPED / name, folder)
    return folder


def test_a_sound_one_passes(own: Path):
    assert trial.findings(own) == []


def test_the_shipped_ones_pass_too():
    assert [finding for template in load().values() for finding in trial.tried(template)] == []


def test_an_empty_folder_passes_without_a_process(tmp_path: Path):
    assert trial.findings(tmp_path) == []


def test_a_mistake_comes_back_with_its_line(own: Path):
    with (own / "remind.txt").open("a") as file:
        file.write("{{ cart.totl }}\n")
    (finding,) = trial.findings(own)
    assert str(finding) == 'templates/remind.txt:8: unknown value "cart.totl"; did you mean "cart.total"?'


def test_one_that_grows_without_measure_is_stopped(own: Path):
    many = "{% for a in lines %}{% for b in lines %}" + "{{ b.name }}" * 4_000 + "{% endfor %}{% endfor %}"
    with (own / "remind.txt").open("a") as file:
        file.write(many)
    (finding,) = trial.findings(own)
    assert finding.file == "templates/remind.mjml"
    assert re.search(
        r"grew to \d+ characters; 524288 are taken|takes more than 1 s", finding.says
    )  # whichever is first


def test_one_that_ends_the_process_is_named(own: Path):
    finding = trial.gave_up(b'{"trying": "doubts"}\n{"trying": "remind"}\n', own)
    assert str(finding) == "templates/remind.mjml: takes more than 1 s or 128 MB; make it simpler"


def test_one_that_hides_the_way_out_is_found(own: Path):
    shutil.copytree(SHIPPED / "parts", own / "parts")
    foot = own / "parts" / "foot.txt"
    foot.write_text(
        foot.read_text().replace(
            "{{ mail.unsubscribe_url }}", "{% if cart.more %}{{ mail.unsubscribe_url }}{% endif %}"
        )
    )
    assert "a mail came out without its unsubscribe link" in {
        finding.says.split(": ")[1] for finding in trial.findings(own)
    }


def test_a_folder_beyond_measure_is_not_read(own: Path):
    (own / "huge.txt").write_bytes(b"x" * 3_000_000)
    (finding,) = trial.findings(own)
    assert "bytes of templates" in finding.says


@pytest.mark.parametrize(
    ("does", "ends"),
    [
        pytest.param("while True: pass", -27, id="time"),
        pytest.param("bytearray(1 << 30)", 1, id="memory"),
        pytest.param("open(sys.argv[1], 'w', buffering=1).write('x\\n')", 1, id="files"),
    ],
)
def test_the_limits_hold(tmp_path: Path, does, ends):
    if sys.platform != "linux":
        pytest.skip("memory is limited by Linux only")
    code = f"import sys; from daemon.mail import trial; trial.limit(); trial.clocked()\n{does}"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x")], capture_output=True, check=False, timeout=60
    )
    assert done.returncode in (ends, -25)
