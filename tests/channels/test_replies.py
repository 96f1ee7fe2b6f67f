"""Whose fault a reply is: the address's, ours, or nobody's."""

import pytest

from channels.base import Misconfigured, Refused, Retry
from channels.replies import Reply, refusal
from channels.suspicion import ByPolicy

CASES = [
    ("rcpt", 550, "5.1.1 no such user", Refused, True),
    ("rcpt", 550, "5.1.2 no such domain", Refused, True),
    ("rcpt", 553, "5.1.3 bad syntax", Refused, True),
    ("rcpt", 550, "5.1.6 has moved", Refused, True),
    ("rcpt", 556, "5.1.10 null MX", Refused, True),
    ("rcpt", 550, "5.2.1 mailbox disabled", Refused, True),
    ("dot", 550, "5.1.1 no such user", Refused, True),
    ("dot", 554, "5.1.10 null MX", Refused, True),
    ("rcpt", 552, "5.2.2 mailbox full", Refused, False),
    ("rcpt", 550, "5.1.0 other", Refused, False),
    ("rcpt", 550, "5.1.11 not in the list", Refused, False),
    ("rcpt", 550, "no such user here", Refused, False),
    ("rcpt", 551, "not local", Refused, False),
    ("rcpt", 553, "not allowed", Refused, False),
    ("rcpt", 554, "5.0.0 no", Refused, False),
    ("rcpt", 500, "5.3.0 failed", Refused, False),
    ("data", 554, "no valid recipients", Refused, False),
    ("dot", 552, "5.3.4 too big", Refused, False),
    ("dot", 554, "5.6.0 content", Refused, False),
    ("mail", 552, "5.3.4 too big", Refused, False),
    ("mail", 552, "too big", Refused, False),
    ("rcpt", 550, "5.7.1 relaying denied", ByPolicy, False),
    ("rcpt", 554, "5.7.1 blocked", ByPolicy, False),
    ("rcpt", 550, "5.7.124 not in the list of allowed senders", ByPolicy, False),
    ("rcpt", 550, "5.7.13 account disabled", Misconfigured, False),
    ("rcpt", 550, "5.7.606 banned address", Misconfigured, False),
    ("dot", 550, "5.7.1 unsolicited", ByPolicy, False),
    ("dot", 550, "5.7.17 another owner", ByPolicy, False),
    ("dot", 550, "5.7.25 no reverse name", Misconfigured, False),
    ("dot", 550, "5.7.26 unauthenticated mail", Misconfigured, False),
    ("dot", 550, "5.7.515 access denied, sending domain", Misconfigured, False),
    ("dot", 550, "5.7.509 DMARC", Misconfigured, False),
    ("rcpt", 550, "5.1.8 sender domain not found", Misconfigured, False),
    ("rcpt", 553, "5.1.7 sender syntax", Misconfigured, False),
    ("rcpt", 530, "authentication required", Misconfigured, False),
    ("mail", 530, "5.7.0 must issue STARTTLS first", Misconfigured, False),
    ("mail", 550, "sender rejected", Misconfigured, False),
    ("mail", 553, "5.7.1 sender not owned", Misconfigured, False),
    ("mail", 555, "parameter not known", Misconfigured, False),
    ("login", 535, "5.7.8 bad credentials", Misconfigured, False),
    ("login", 534, "5.7.9 too weak", Misconfigured, False),
    ("login", 530, "must authenticate", Misconfigured, False),
    ("login", 454, "4.7.0 temporary failure", Retry, None),
    ("starttls", 454, "4.7.0 TLS not available", Retry, None),
    ("starttls", 501, "no", Misconfigured, False),
    ("connect", 421, "4.3.2 busy", Retry, None),
    ("connect", 554, "5.7.1 go away", Misconfigured, False),
    ("hello", 550, "bad name", Misconfigured, False),
    ("rcpt", 450, "4.2.0 greylisted", Retry, None),
    ("rcpt", 451, "4.7.1 try later", Retry, None),
    ("rcpt", 452, "4.2.2 full", Retry, None),
    ("rcpt", 450, "5.1.1 class does not match", Retry, None),
    ("rcpt", 550, "4.1.1 class does not match", Refused, False),
    ("dot", 451, "4.7.650 throttled", Retry, None),
    ("dot", 421, "4.7.28 rate", Retry, None),
    ("data", 334, "what", Retry, None),
    ("rcpt", 999, "what", Retry, None),
]


@pytest.mark.parametrize(
    ("phase", "code", "text", "kind", "suppress"), CASES, ids=[f"{case[0]} {case[1]} {case[2]}" for case in CASES]
)
def test_refusal(phase, code, text, kind, suppress):
    error = refusal(phase, Reply(code, text))
    assert type(error) is kind
    assert getattr(error, "suppress", False) is bool(suppress)
    assert error.code.startswith(str(code))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("5.1.1 <ada@leak.test>: Recipient address rejected: User unknown", "Recipient address rejected: User unknown"),
        ("5.1.1 unknown user ada", "unknown user"),
        ('5.1.1 mailbox "Ada" is gone', "mailbox is gone"),
        ("5.1.1 b+token=40bounce.shop said no", "said no"),
        ("5.7.1 see https://spf.test/?id=ada%40leak.test&ip=1", "see"),
        ("5.1.1 ada+7f3a@leak.test ada@LEAK.test", ""),
        ("no\x1b[31m such\x00 user\r\nhere", "no[31m such user here"),
    ],
)
def test_sentence_never_tells_who(text, said):
    sentence = str(refusal("rcpt", Reply(550, text), "ada@leak.test"))
    assert sentence.partition(": ")[2] == said
    assert "@" not in sentence
    assert sentence.isprintable()


def test_sentence_is_short():
    assert len(str(refusal("dot", Reply(550, "word " * 5000), "ada@leak.test"))) < 200
