"""The folder of rules: what fits together, what does not, and what happens while it changes."""

import pytest
from pydantic import Field

from daemon.book import Keeper, load
from daemon.errors import ConfigurationError
from daemon.shops.base import Capability, Shop, ShopConfig

SHOPS = """shops:
  main:
    connector: paper
    url: https://shop.example
    connection: {token: "${TOKEN}"}
"""
LIVE = """    mode: live
    sender: {name: Lampen, address: hallo@shop.example, imprint: [Lampen GmbH, "Weg 1, 10115 Berlin"]}
"""
ENV = {"TOKEN": "s3cret"}


class PaperConfig(ShopConfig):
    token: str = Field(min_length=1)
    able: tuple[Capability, ...] = ()


class Paper(Shop):
    name = "paper"
    config_model = PaperConfig

    def capabilities(self):
        return frozenset(self.config.able)


CONNECTORS = {"paper": Paper}


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "shops.yaml", SHOPS)
    write(tmp_path, "main.yaml", "extends: default\n")
    return tmp_path


def write(folder, name, text):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text, "utf-8")


def mistakes(folder, env=ENV):
    return [str(mistake) for mistake in load(folder, env, CONNECTORS).mistakes]


def test_a_good_folder(folder):
    book = load(folder, ENV, CONNECTORS)
    assert book.mistakes == ()
    assert [policy.name for policy in book.policies_by_shop["main"]] == ["main"]
    assert book.configs["main"].token == "s3cret"
    assert "s3cret" not in repr(book.shops)


def test_policies_stand_in_the_order_of_their_files_and_serve_the_shops_they_name(folder):
    write(folder, "shops.yaml", SHOPS + SHOPS.removeprefix("shops:\n").replace("main:", "other:"))
    write(folder, "20-second.yaml", "extends: fashion\nshops: [main]\n")
    write(folder, "10-first.yaml", "extends: fashion\nshops: [main, other]\n")
    (folder / "main.yaml").unlink()
    book = load(folder, ENV, CONNECTORS)
    names = {shop: [policy.name for policy in serving] for shop, serving in book.policies_by_shop.items()}
    assert names == {"main": ["10-first", "20-second"], "other": ["10-first"]}
    assert book.policy("main", "20-second") is not None
    assert book.policy("other", "20-second") is None


def test_a_policy_without_a_law_takes_the_shops(folder):
    write(folder, "shops.yaml", SHOPS + "    legal: none\n")
    book = load(folder, ENV, CONNECTORS)
    assert (book.policies["main"].legal, book.policies_by_shop["main"][0].legal) == (None, "none")
    assert book.policies["main"].hash != book.policies_by_shop["main"][0].hash


def test_secrets_come_from_the_environment_and_from_files(folder):
    write(folder, "shops.yaml", SHOPS.replace('"${TOKEN}"', "{file: secrets/token}"))
    write(folder, "secrets/token", "from a file\n")
    assert load(folder, {}, CONNECTORS).configs["main"].token == "from a file"


@pytest.mark.parametrize(
    ("shops", "policy", "expected"),
    [
        pytest.param(
            SHOPS.replace("TOKEN", "TOKN"),
            "extends: default\n",
            [
                'shops.yaml:5:25 shops.main.connection.token: the environment has no TOKN; did you mean "TOKEN"?',
            ],
            id="a secret that is not there",
        ),
        pytest.param(
            SHOPS + "    zone: ${WHERE}\n",
            "extends: default\n",
            ["shops.yaml:6:11 shops.main.zone: the environment has no WHERE"],
            id="a variable that is not there is no wrong time zone as well",
        ),
        pytest.param(
            SHOPS.replace('"${TOKEN}"', "{file: nowhere}"),
            "extends: default\n",
            [
                "shops.yaml:5:32 shops.main.connection.token.file: the secret in nowhere cannot be read: "
                "No such file or directory",
            ],
            id="a secret file that is not there",
        ),
        pytest.param(
            SHOPS.replace("paper", "papr"),
            "extends: default\n",
            ['shops.yaml:3:16 shops.main.connector: unknown connector "papr"; did you mean "paper"?'],
            id="a connector that is not there",
        ),
        pytest.param(
            SHOPS.replace("token:", "tokn:"),
            "extends: default\n",
            ['shops.yaml:5:18 shops.main.connection.tokn: unknown word "tokn"; did you mean "token"?'],
            id="a slip in the connection",
        ),
        pytest.param(
            SHOPS,
            "extends: default\nshops: [mian]\n",
            ['main.yaml:2:9 shops[0]: unknown shop "mian"; did you mean "main"?'],
            id="a shop that is not there",
        ),
        pytest.param(
            SHOPS + LIVE,
            "extends: default\n",
            ['main.yaml:1:1: the live shop "main" needs a law to decide by: `legal:` here or in shops.yaml'],
            id="a live shop without a law",
        ),
        pytest.param(SHOPS + LIVE, "extends: default\nlegal: none\n", [], id="no law is a choice that is made aloud"),
        pytest.param(SHOPS + LIVE + "    legal: de\n", "extends: default\n", [], id="the shop's law"),
        pytest.param(
            SHOPS,
            "extends: default\nstarts: {existing_customers_only: true}\n",
            [
                'main.yaml:2:35 starts.existing_customers_only: a purchase is no legal basis for the shop "main" '
                "before shops.yaml says since when its customers are told that they may object "
                "(existing_customer_notice)"
            ],
            id="existing customers who were never told",
        ),
        pytest.param(
            SHOPS + "    legal: fr\n",
            "extends: default\nstarts: {existing_customers_only: true}\n",
            [
                'main.yaml:2:35 starts.existing_customers_only: a purchase is no legal basis for the shop "main" '
                "before shops.yaml says since when its customers are told that they may object "
                "(existing_customer_notice)"
            ],
            id="in France, too",
        ),
        pytest.param(
            SHOPS + "    legal: us\n",
            "extends: default\nstarts: {existing_customers_only: true}\n",
            [],
            id="in the United States no mail needs a ground",
        ),
        pytest.param(
            SHOPS + "    existing_customer_notice: {since: 2024-05-01}\n",
            "extends: default\nstarts: {existing_customers_only: true}\n",
            [],
            id="existing customers who were told",
        ),
        pytest.param(
            SHOPS,
            "extends: default\nstarts: {never: {groups: [staff]}}\n",
            [
                'main.yaml:2:26 starts.never.groups: the shop "main" does not tell customer groups, so this would '
                "never hold"
            ],
            id="groups that the shop does not tell",
        ),
        pytest.param(
            SHOPS.replace("connection: {", "connection: {able: [groups], "),
            "extends: default\nstarts: {never: {groups: [staff]}}\n",
            [],
            id="groups that the shop tells",
        ),
        pytest.param(
            SHOPS,
            "extends: default\nsteps: [{name: doubts, only_if: 'cart.items.exists(i, i.category == \"x\")'}]\n",
            [
                'main.yaml:2:33 steps[0].only_if: the shop "main" does not tell categories of products, so this would '
                "never hold"
            ],
            id="categories in an expression",
        ),
        pytest.param(
            SHOPS + "    legal: de\n",
            "extends: default\nsteps: [{name: doubts, unless: {remind: [opened]}}]\n",
            [
                'main.yaml:2:41 steps[0].unless.remind: this needs the opens of single readers, which profile "de" '
                "lets nobody follow without a consent of its own; hint: `unless: {remind: [clicked]}`, or "
                "`[opened, clicked]`, of which the click counts where there is no consent"
            ],
            id="a step that opens alone decide, in Germany",
        ),
        pytest.param(
            SHOPS + "    legal: de\n",
            "extends: default\nsteps: [{name: doubts, only_if: 'steps.remind.opened'}]\n",
            [
                'main.yaml:2:33 steps[0].only_if: this needs the opens of single readers, which profile "de" lets '
                "nobody follow without a consent of its own; hint: ask for `clicked` instead of `opened`, or for "
                "either of them"
            ],
            id="opens alone in an expression, in Germany",
        ),
        pytest.param(
            SHOPS + "    legal: de\n",
            "extends: default\nsteps: [{name: doubts, unless: {remind: [opened, clicked]}}]\n",
            [],
            id="opens or clicks, in Germany",
        ),
        pytest.param(
            SHOPS + "    legal: us\n",
            "extends: default\nsteps: [{name: doubts, unless: {remind: [opened]}}]\n",
            [],
            id="opens alone, in the United States",
        ),
        pytest.param(
            SHOPS,
            "extends: default\nsteps: [{name: remind, template: remnd}]\n",
            ['main.yaml:2:34 steps[0].template: there is no template "remnd"; did you mean "remind"?'],
            id="a template that is not there",
        ),
    ],
)
def test_what_must_fit_together(folder, shops, policy, expected):
    write(folder, "shops.yaml", shops)
    write(folder, "main.yaml", policy)
    assert mistakes(folder) == expected


@pytest.mark.parametrize("word", ["unless", "only_if"])
@pytest.mark.parametrize(
    ("legal", "forbids"),
    [
        ("de", True),
        ("at", True),
        ("ch", True),
        ("fr", True),
        ("it", True),
        ("uk", True),
        ("us", False),
        ("none", False),
    ],
)
def test_opens_alone_decide_only_where_anybody_may_be_followed(folder, legal, forbids, word):
    write(folder, "shops.yaml", SHOPS)
    for asked, refused in (("[opened]", forbids), ("[opened, clicked]", False), ("[clicked]", False)):
        write(
            folder,
            "main.yaml",
            f"extends: default\nlegal: {legal}\nsteps: [{{name: doubts, {word}: {{remind: {asked}}}}}]\n",
        )
        found = mistakes(folder)
        assert bool(found) is refused
        assert all(f"hint: `{word}: {{remind: [clicked]}}`" in one and f'profile "{legal}"' in one for one in found)


def test_own_templates_lie_beside_the_rules(folder):
    write(folder, "main.yaml", "extends: default\nsteps: [{name: thanks, send: email, after: 5h}]\n")
    assert "there is no template" in mistakes(folder)[0]
    write(folder, "templates/thanks.mjml", "<mjml/>")
    assert mistakes(folder) == []


def test_without_secrets_the_rest_is_still_checked(folder):
    write(folder, "main.yaml", "extends: default\nshops: [mian]\n")
    assert mistakes(folder, env=None) == ['main.yaml:2:9 shops[0]: unknown shop "mian"; did you mean "main"?']


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ConfigurationError, match="there is no folder of rules"):
        load(tmp_path / "nowhere", {}, CONNECTORS)
    with pytest.raises(ConfigurationError, match=r"there is no shops\.yaml"):
        load(tmp_path, {}, CONNECTORS)


def test_a_file_that_is_no_text(folder):
    (folder / "main.yaml").write_bytes(b"extends: \xff\xfe")
    assert mistakes(folder) == ["main.yaml:1:1: the file is not UTF-8"]


def test_a_bad_file_never_replaces_a_good_one(folder):
    keeper = Keeper(folder, ENV, CONNECTORS)
    good = keeper.book
    assert keeper.reload() is False, "nothing has changed"
    write(folder, "main.yaml", "extends: default\nlegl: de\n")
    assert keeper.reload() is False
    assert keeper.book is good
    assert [str(mistake) for mistake in keeper.mistakes] == [
        'main.yaml:2:1 legl: unknown word "legl"; did you mean "legal"?'
    ]
    write(folder, "main.yaml", "extends: default\nlegal: de\n")
    assert keeper.reload() is True
    assert (keeper.mistakes, keeper.book.policies["main"].legal) == ((), "de")


def test_a_folder_that_vanishes_for_a_moment_changes_nothing(folder):
    keeper = Keeper(folder, ENV, CONNECTORS)
    (folder / "shops.yaml").rename(folder / "away")
    assert keeper.reload() is False
    assert keeper.book.shops
    assert "there is no shops.yaml" in str(keeper.mistakes[0])


def test_a_rotated_secret_is_a_new_book(folder):
    env = dict(ENV)
    keeper = Keeper(folder, env, CONNECTORS)
    env["TOKEN"] = "another"
    assert keeper.reload() is True
    assert keeper.book.configs["main"].token == "another"


def test_nothing_starts_on_bad_rules(folder):
    write(folder, "main.yaml", "extends: defalt\n")
    with pytest.raises(ConfigurationError, match=r'main\.yaml:1:10 extends: unknown preset "defalt"'):
        Keeper(folder, ENV, CONNECTORS)


AUDIENCES = SHOPS + "    audiences:\n      shoes: {platform: meta, id: '7', token: '${META_TOKEN}'}\n"
RETARGET = "extends: default\nsteps: [{name: retarget, send: audience, after: 80h, audience: %s, for: 14d}]\n"


def test_step_into_an_audience_that_is_there(folder):
    write(folder, "shops.yaml", AUDIENCES)
    write(folder, "main.yaml", RETARGET % "shoes")
    assert mistakes(folder, ENV | {"META_TOKEN": "t0ken"}) == []
    assert mistakes(folder, None) == []


def test_step_into_an_audience_that_is_not(folder):
    write(folder, "shops.yaml", AUDIENCES)
    write(folder, "main.yaml", RETARGET % "shoos")
    [found] = mistakes(folder, ENV | {"META_TOKEN": "t0ken"})
    assert found.endswith('steps[0].audience: the shop "main" has no audience "shoos"; did you mean "shoes"?')


@pytest.mark.parametrize("env", [{}, {"META_TOKEN": ""}])
def test_audience_whose_token_is_missing(folder, env):
    write(folder, "shops.yaml", AUDIENCES)
    write(folder, "main.yaml", RETARGET % "shoes")
    found = mistakes(folder, ENV | env)
    assert any("META_TOKEN" in text or "an audience at meta needs token" in text for text in found)


def test_key_of_an_audience_may_lie_in_a_file(folder):
    words = "platform: google, account: '1', id: '7', terms_accepted: true, key: {file: secrets/google.json}"
    write(folder, "shops.yaml", SHOPS + f"    audiences:\n      shoes: {{{words}}}\n")
    write(folder, "secrets/google.json", '{"client_email": "a@b.example", "private_key": "pem"}\n')
    book = load(folder, ENV, CONNECTORS)
    assert book.mistakes == ()
    assert "pem" in book.shops["main"].audiences["shoes"].key
    assert "pem" not in repr(book)
