"""Settings: what an operator may write, and what is said when it cannot be."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network

import pytest

from daemon.errors import ConfigurationError
from daemon.settings import PREFIX, Settings, read, written

SECRET = "hush-" * 8
PREFIXES = {"database_url": "postgresql://", "redis_url": "redis://", "ping_url": "https://"}


def of(**settings: str) -> Settings:
    return read({f"{PREFIX}{name.upper()}": value for name, value in settings.items()})


def refused(**settings: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        of(**settings)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        pytest.param("90s", timedelta(seconds=90), id="seconds"),
        pytest.param("5m", timedelta(minutes=5), id="minutes"),
        pytest.param("1h30m", timedelta(minutes=90), id="two units"),
        pytest.param(" 2h ", timedelta(hours=2), id="blanks around"),
        pytest.param("30d", timedelta(days=30), id="days"),
        pytest.param("2w", timedelta(weeks=2), id="weeks"),
        pytest.param("0.5s", timedelta(milliseconds=500), id="half a second"),
    ],
)
def test_a_span_of_time(text, span):
    assert of(poll_every=text).poll_every == span


@pytest.mark.parametrize("text", ["60", "1.5", "0s", "-5m", "soon", "", "5 parsecs"])
def test_what_is_no_span_of_time(text):
    said = refused(poll_every=text)
    assert said.startswith("TILLBELL_POLL_EVERY: ")
    assert "with its unit, such as 90s, 5m or 3d" in said


def test_proxies_are_networks_separated_by_commas():
    networks = (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert of(trusted_proxies="10.0.0.0/8, ::1,").trusted_proxies == networks
    assert of(trusted_proxies="").trusted_proxies == ()
    assert "TILLBELL_TRUSTED_PROXIES" in refused(trusted_proxies="everybody")
    assert "TILLBELL_TRUSTED_PROXIES" in refused(trusted_proxies="10.0.0.1/8")  # which of the two was meant?


def test_the_public_address_has_a_scheme_and_no_slash_at_its_end():
    assert of(public_base_url="https://t.shop.example/").public_base_url == "https://t.shop.example"
    assert refused(public_base_url="t.shop.example") == "TILLBELL_PUBLIC_BASE_URL: must begin with https://"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("database_url", "postgresql://u:p@h:5432/d?sslmode=require"), ("database_url", "postgres:///d?host=/run"),
        ("database_url", "postgresql://a:1,[::1]:2/d"), ("database_url", ""), ("redis_url", "redis://:p@h:6379/0"),
        ("redis_url", "rediss://h"), ("redis_url", "unix:///run/valkey.sock"),
    ],
)  # fmt: skip
def test_addresses_of_servers(name, text):
    assert getattr(of(**{name: text}), name).get_secret_value() == text


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("database_url", "mysql://u:hush@h/d", "must begin with postgresql://"),
        ("database_url", "hush", "must begin with postgresql://"),
        ("database_url", "postgresql://u:hush@h:port/d", "its port is no number"),
        ("redis_url", "http://u:hush@h", "must begin with redis://"),
    ],
)
def test_what_is_no_address_of_a_server(name, text, said):
    mistake = refused(**{name: text})
    assert mistake.startswith(f"TILLBELL_{name.upper()}: {said}")
    assert "hush" not in mistake


def test_a_name_that_is_not_known_is_refused_with_a_hint():
    assert refused(pol_every="5m") == "unknown setting TILLBELL_POL_EVERY; did you mean TILLBELL_POLL_EVERY?"
    assert refused(weather="fine") == "unknown setting TILLBELL_WEATHER"
    assert "did you mean TILLBELL_SMTP_PASSWORD?" in refused(smtp_pasword_file="/run/secrets/x")


def test_every_mistake_has_a_line_of_its_own():
    said = refused(smtp_port="0", smtp_tls="maybe", log_level="loud").splitlines()
    assert [line.partition(":")[0] for line in said] == [
        "TILLBELL_SMTP_PORT", "TILLBELL_SMTP_TLS", "TILLBELL_LOG_LEVEL"
    ]  # fmt: skip


def test_a_value_may_stand_in_a_file(tmp_path):
    file = tmp_path / "password"
    file.write_text("p4ss word\n")
    assert of(smtp_password_file=str(file)).smtp_password.get_secret_value() == "p4ss word"


def test_a_file_that_is_not_there_is_named():
    assert refused(smtp_password_file="/nowhere/x") == (
        "TILLBELL_SMTP_PASSWORD_FILE: No such file or directory: /nowhere/x"
    )


def test_a_file_that_is_no_text_is_named(tmp_path):
    file = tmp_path / "password"
    file.write_bytes(b"\xff\xfe\x00")
    assert refused(smtp_password_file=str(file)) == f"TILLBELL_SMTP_PASSWORD_FILE: it is not UTF-8: {file}"


def test_directly_and_by_file_is_once_too_often(tmp_path):
    file = tmp_path / "password"
    file.write_text("a")
    said = refused(smtp_password_file=str(file), smtp_password="b")
    assert said == "TILLBELL_SMTP_PASSWORD is set twice: directly and by file"


def test_other_programs_variables_are_no_matter_of_ours():
    assert read({"HOME": "/", "POLL_EVERY": "x", "TILLBELL_TEST_REDIS_URL": "redis://x"}) == Settings()


def test_a_secret_is_never_shown():
    names = [name for name, field in Settings.model_fields.items() if "Secret" in repr(field.annotation)]
    known = {"database_url", "redis_url", "secret", "pepper", "smtp_password", "metrics_token", "ping_url"}
    assert known | {"push_private_key"} <= set(names)
    chosen = of(**{name: PREFIXES.get(name, "") + SECRET for name in names})
    shown = repr(chosen) + str(chosen) + chosen.model_dump_json() + "".join(written(getattr(chosen, n)) for n in names)
    assert "hush" not in shown


def test_a_mistake_does_not_repeat_what_was_written():
    assert "hush" not in refused(smtp_password=SECRET, smtp_port="x", drain="soon")


@pytest.mark.parametrize("name", ["listen", "private_listen", "lmtp_listen"])
@pytest.mark.parametrize("text", ["8080", "localhost", "localhost:", "localhost:http", "0.0.0.0:65536"])
def test_what_cannot_be_listened_on(name, text):
    assert f"TILLBELL_{name.upper()}: '{text}' is not host:port" in refused(**{name: text})


def test_nobody_has_to_take_mail_in():
    assert of(lmtp_listen="").lmtp_listen == ""
    assert "TILLBELL_LISTEN" in refused(listen="")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(seconds=60), "1m"), (timedelta(days=30), "30d"), (timedelta(seconds=90), "90s"),
        (timedelta(milliseconds=500), "0.5s"), (None, ""),
        ((ip_network("10.0.0.0/8"), ip_network("::1")), "10.0.0.0/8,::1/128"),
        (587, "587"),
    ],
)  # fmt: skip
def test_settings_are_shown_as_one_would_write_them(value, text):
    assert written(value) == text


def test_every_default_can_be_written_and_read_back():
    told = {name: written(getattr(Settings(), name)) for name in Settings.model_fields}
    again = of(**{name: text for name, text in told.items() if text})
    assert again == Settings()
