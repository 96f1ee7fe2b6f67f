"""Where tokens and carts may travel."""

import base64

import pytest
from pydantic import ValidationError

from daemon.shops.feed import FeedConfig

KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()
URL = "https://shop.example/tillbell"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        pytest.param({"url": "http://shop.example", "token": "t"}, "must begin with https", id="a token in the clear"),
        pytest.param({"url": "shop.example", "token": "t"}, "must be a whole address", id="half an address"),
        pytest.param({"url": URL + "?a=b", "token": "t"}, "must hold no user, query", id="a query"),
        pytest.param({"url": "https://a:b@c.example", "token": "t"}, "must hold no user", id="a password in it"),
        pytest.param({"url": URL}, "either", id="open to everybody"),
        pytest.param({"url": URL, "token": "t", "signing_secret": KEY}, "either", id="both keys"),
        pytest.param({"url": URL, "signing_secret": "whsec_AAAA"}, "24 to 64 random bytes", id="a short key"),
        pytest.param({"url": URL, "token": "t", "secrets": ["hello"]}, "24 to 64 random bytes", id="no key"),
        pytest.param({"url": URL, "token": "t", "speed": 9}, "Extra inputs", id="an unknown word"),
    ],
)
def test_a_configuration_that_cannot_work(options, sentence):
    with pytest.raises(ValidationError) as caught:
        FeedConfig.model_validate(options)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("url", ["http://localhost:8000/t", "http://10.1.2.3", "http://shop", "http://[::1]/", URL])
def test_a_shop_near_by_needs_no_certificate(url):
    assert FeedConfig.model_validate({"url": url, "token": "t"}).url == url.rstrip("/")
