"""The rules of this installation: policies and shops, read from a folder; a bad file never replaces a good one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

import rules
from daemon.errors import ConfigurationError
from daemon.shops.base import Shop, ShopConfig
from rules.law import PROFILES
from rules.mistakes import from_validation
from rules.needs import SPOKEN, needs, rests_on_opens
from rules.policy import Policy
from rules.reader import Reading, read_policy
from rules.shops import ShopWords, shops_from
from rules.source import Mistake, Node, Place, Unreadable, Word, did_you_mean, read

SHOPS_FILE = "shops.yaml"
SHIPPED_TEMPLATES = Path(rules.__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Book:
    """All rules at one moment. Policies of a shop are in the order of their file names: the first that fits a cart
    takes it, and each knows the law it decides by.
    """

    shops: Mapping[str, ShopWords]
    policies: Mapping[str, Policy]
    policies_by_shop: Mapping[str, tuple[Policy, ...]]
    configs: Mapping[str, ShopConfig] = field(default_factory=dict)
    """What each shop's connector reads, where its connector is known."""
    mistakes: tuple[Mistake, ...] = ()
    trees: Mapping[str, Node] = field(default_factory=dict, repr=False)

    def policy(self, shop: str, name: str) -> Policy | None:
        """The newest of that name for the shop; None if its file is gone or no longer serves the shop."""
        return next((policy for policy in self.policies_by_shop.get(shop, ()) if policy.name == name), None)


def load(folder: Path, env: Mapping[str, str] | None, connectors: Mapping[str, type[Shop]] | None = None) -> Book:
    """Reads the folder. With mistakes the book holds what could be read, to look at and not to work with.

    `env` fills `${NAME}` in shops.yaml; None leaves secrets open and does not ask the connectors. Raises
    ConfigurationError where there is no such folder or no shops.yaml.
    """
    return _Loading(folder, env, connectors).book()


class Keeper:
    """Keeps the newest good book; `mistakes` are those of the newest bad one."""

    def __init__(self, folder: Path, env: Mapping[str, str], connectors: Mapping[str, type[Shop]] | None) -> None:
        """Raises ConfigurationError when the very first reading has mistakes."""
        self._folder, self._env, self._connectors = folder, env, connectors
        self.mistakes: tuple[Mistake, ...] = ()
        self.book = load(folder, env, connectors)
        if self.book.mistakes:
            raise ConfigurationError("\n".join(map(str, self.book.mistakes)))

    def reload(self) -> bool:
        """Reads the folder again. True: there is a new good book. False: it is as it was, or has `mistakes`."""
        try:
            book = load(self._folder, self._env, self._connectors)
        except ConfigurationError as error:
            self.mistakes = (Mistake(Place(str(self._folder), 1, 1), str(error)),)
            return False
        self.mistakes = book.mistakes
        if book.mistakes or _same(book, self.book):
            return False
        self.book = book
        return True


def _same(one: Book, other: Book) -> bool:
    return (one.shops, one.policies, list(one.policies)) == (other.shops, other.policies, list(other.policies))


class _Loading:
    """One reading of the folder, mistakes collected."""

    def __init__(
        self, folder: Path, env: Mapping[str, str] | None, connectors: Mapping[str, type[Shop]] | None
    ) -> None:
        self._folder, self._env, self._connectors = folder, env, connectors
        self._mistakes: list[Mistake] = []
        self._unread: set[str] = set()
        """Paths of secrets that could not be had: what is wrong with them has been said."""

    def book(self) -> Book:
        shops, shops_tree = self._shops()
        readings = self._policies()
        policies = {name: reading.policy for name, reading in readings.items() if reading.policy is not None}
        trees = {name: reading.tree for name, reading in readings.items() if reading.tree is not None}
        configs = self._configs(shops, shops_tree)
        for name, policy in policies.items():
            self._mistakes += self._across(policy, trees[name], shops, configs)
        return Book(
            shops=MappingProxyType(dict(shops)),
            policies=MappingProxyType(policies),
            policies_by_shop=MappingProxyType({shop: _serving(shop, shops[shop], policies) for shop in shops}),
            configs=MappingProxyType(configs),
            mistakes=tuple(sorted(set(self._mistakes))),
            trees=MappingProxyType(trees),
        )

    def _shops(self) -> tuple[Mapping[str, ShopWords], Node]:
        path = self._folder / SHOPS_FILE
        if not self._folder.is_dir():
            raise ConfigurationError(f"there is no folder of rules at {self._folder} (TILLBELL_RULES_DIR)")
        if not path.is_file():
            raise ConfigurationError(f"there is no {SHOPS_FILE} in {self._folder}: it names the shops")
        try:
            tree = self._filled(read(_text(path), SHOPS_FILE), ())
        except Unreadable as error:
            self._mistakes += error.mistakes
            return {}, Node(Place(SHOPS_FILE, 1, 1), {})
        reading = shops_from(tree)
        self._mistakes += self._heard_of(reading.mistakes)
        return reading.shops, tree

    def _policies(self) -> dict[str, Reading]:
        files = sorted(path for path in self._folder.iterdir() if path.suffix in (".yaml", ".yml") and path.is_file())
        readings: dict[str, Reading] = {}
        for path in files:
            if path.name == SHOPS_FILE or path.name.startswith("."):
                continue
            try:
                readings[path.stem] = read_policy(_text(path), path.name, path.stem)
            except Unreadable as error:
                readings[path.stem] = Reading(None, error.mistakes)
            self._mistakes += readings[path.stem].mistakes
        return readings

    # Secrets

    def _filled(self, node: Node, path: tuple[str, ...]) -> Node:
        """With `${NAME}` from the environment and, inside of connection, `{file: path}` read."""
        if self._env is None:
            return node
        if isinstance(node.value, str):
            return Node(node.place, self._from_env(node.value, node.place))
        if {"connection", "audiences"} & set(path) and set(node.words()) == {"file"}:
            return Node(node.place, self._from_file(node))
        if isinstance(node.value, tuple):
            return Node(node.place, tuple(self._filled(item, path) for item in node.value))
        words = {key: Word(word.place, self._filled(word.node, (*path, key))) for key, word in node.words().items()}
        return Node(node.place, words) if node.words() else node

    def _from_env(self, text: str, place: Place) -> str:
        env = self._env or {}

        def value(match: re.Match[str]) -> str:
            if match[1] not in env:
                hint = did_you_mean(match[1], env)
                self._mistakes.append(Mistake(place, f"the environment has no {match[1]}{hint}"))
                self._unread.add(place.path)
            return env.get(match[1], "")

        return re.sub(r"\$\{(\w+)\}", value, text)

    def _from_file(self, node: Node) -> str:
        file = node.words()["file"].node
        try:
            return (self._folder / str(file.value)).read_text("utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            self._mistakes.append(Mistake(file.place, f"the secret in {file.value} cannot be read: {reason}"))
            self._unread.add(node.place.path)
            return ""

    # What must fit together

    def _configs(self, shops: Mapping[str, ShopWords], tree: Node) -> dict[str, ShopConfig]:
        configs: dict[str, ShopConfig] = {}
        for name, shop in shops.items() if self._connectors is not None else ():
            connector = (self._connectors or {}).get(shop.connector)
            if connector is None:
                known = self._connectors or {}
                hint = did_you_mean(shop.connector, known) or f"; connectors are {', '.join(sorted(known))}"
                place = tree.find(("shops", name, "connector"))
                self._mistakes.append(Mistake(place, f'unknown connector "{shop.connector}"{hint}'))
            elif self._env is not None and (config := self._config(connector, shop, tree, name)):
                configs[name] = config
        return configs

    def _config(self, connector: type[Shop], shop: ShopWords, tree: Node, name: str) -> ShopConfig | None:
        try:
            return connector.config_model.model_validate(dict(shop.connection))
        except ValidationError as error:
            word = tree.words()["shops"].node.words()[name]
            at = word.node.words().get("connection", word)
            found = from_validation(error, at.node, connector.config_model)
            self._mistakes += self._heard_of(found)
            return None

    def _heard_of(self, mistakes: Iterable[Mistake]) -> Iterator[Mistake]:
        """Without those about a value that could not be had, or about what it is a part of."""
        for mistake in mistakes:
            path = mistake.place.path
            if not any(gap == path or gap.startswith((f"{path}.", f"{path}[")) for gap in self._unread):
                yield mistake

    def _across(
        self, policy: Policy, tree: Node, shops: Mapping[str, ShopWords], configs: Mapping[str, ShopConfig]
    ) -> Iterator[Mistake]:
        for no, name in enumerate(policy.shops):
            if shops and name not in shops:
                yield Mistake(tree.find(("shops", no)), f'unknown shop "{name}"{did_you_mean(name, shops)}')
        known = self._templates()
        for no, step in enumerate(policy.steps):
            wanted = step.template_name
            if step.send == "email" and wanted not in known:
                hint = did_you_mean(wanted, known) or f"; there are {', '.join(known)}; add templates/{wanted}.mjml"
                place = tree.find(("steps", no, "template" if step.template else "name"))
                yield Mistake(place, f'there is no template "{wanted}"{hint}')
        served = {name: shop for name, shop in shops.items() if not policy.shops or name in policy.shops}
        yield from _budget(policy, tree, served)
        for name, shop in shops.items():
            if name in served:
                yield from _law(policy, tree, name, shop)
                yield from _audiences(policy, tree, name, shop)
                yield from _whatsapp(policy, tree, name, shop)
                yield from self._capabilities(policy, tree, name, configs)

    def _templates(self) -> list[str]:
        folders = (SHIPPED_TEMPLATES, self._folder / "templates")
        return sorted({path.stem for folder in folders for path in folder.glob("*.mjml")})

    def _capabilities(
        self, policy: Policy, tree: Node, name: str, configs: Mapping[str, ShopConfig]
    ) -> Iterator[Mistake]:
        if name not in configs or self._connectors is None:
            return
        shop = next(kind for kind in self._connectors.values() if isinstance(configs[name], kind.config_model))
        able = {str(capability) for capability in shop(configs[name]).capabilities()}
        for capability, loc in needs(policy):
            if capability not in able:
                text = f'the shop "{name}" does not tell {SPOKEN[capability]}, so this would never hold'
                yield Mistake(tree.find(loc), text)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable(Mistake(Place(path.name, 1, 1), "the file is not UTF-8")) from None
    except OSError as error:
        raise Unreadable(Mistake(Place(path.name, 1, 1), f"the file cannot be read: {error.strerror}")) from None


def _serving(name: str, shop: ShopWords, policies: Mapping[str, Policy]) -> tuple[Policy, ...]:
    """The policies of one shop, with the shop's law where they name none."""
    serving = [policy for policy in policies.values() if not policy.shops or name in policy.shops]
    return tuple(policy.under(shop.legal) for policy in serving)


def _audiences(policy: Policy, tree: Node, name: str, shop: ShopWords) -> Iterator[Mistake]:
    for no, step in enumerate(policy.steps):
        if step.send == "audience" and step.audience not in shop.audiences:
            hint = did_you_mean(step.audience, shop.audiences) or f"; {SHOPS_FILE} names them under `audiences:`"
            text = f'the shop "{name}" has no audience "{step.audience}"{hint}'
            yield Mistake(tree.find(("steps", no, "audience")), text)


def _budget(policy: Policy, tree: Node, served: Mapping[str, ShopWords]) -> Iterator[Mistake]:
    """A step that goes by a budget that no shop has."""
    budgets = [shop.sms.budget for shop in served.values()]
    if not served or any(one.day is not None or one.month is not None for one in budgets):
        return
    for no, step in enumerate(policy.steps):
        if step.over_budget is not None:
            hint = f"{SHOPS_FILE} sets one: sms: {{price: 0.09 EUR, budget: {{day: 20 EUR}}}}"
            yield Mistake(tree.find(("steps", no, "over_budget")), f"no shop here has a budget for texts; {hint}")


def _whatsapp(policy: Policy, tree: Node, name: str, shop: ShopWords) -> Iterator[Mistake]:
    """WhatsApp takes what begins a conversation as an approved template only."""
    if not (shop.sms.sender or "").startswith("whatsapp:"):
        return
    approved = {template.partition(".")[0] for template in shop.sms.templates}
    for no, step in enumerate(policy.steps):
        if step.send == "sms" and step.template_name not in approved:
            hint = f"{SHOPS_FILE} names it: sms: {{templates: {{{step.template_name}: HX…}}}}"
            text = f'the shop "{name}" writes by WhatsApp and has no approved template for {step.name}; {hint}'
            yield Mistake(tree.find(("steps", no, "template" if step.template else "name")), text)


def _law(policy: Policy, tree: Node, name: str, shop: ShopWords) -> Iterator[Mistake]:
    legal = policy.legal or shop.legal
    if legal is None and shop.mode == "live":
        yield Mistake(tree.place, f'the live shop "{name}" needs a law to decide by: `legal:` here or in {SHOPS_FILE}')
    if (
        policy.starts.existing_customers_only
        and "email" in PROFILES[legal or "de"].ground_needed_on
        and shop.existing_customer_notice is None
    ):
        text = (
            f'a purchase is no legal basis for the shop "{name}" before {SHOPS_FILE} says since when its customers '
            "are told that they may object (existing_customer_notice)"
        )
        yield Mistake(tree.find(("starts", "existing_customers_only")), text)
    if "track_open" in PROFILES[legal or "de"].tracking_by_consent:
        yield from _opens(policy, tree, legal or "de")


def _opens(policy: Policy, tree: Node, legal: str) -> Iterator[Mistake]:
    """Steps that have nothing to go by where a reader's opens may not be followed."""
    for loc, instead in rests_on_opens(policy):
        text = (
            f'this needs the opens of single readers, which profile "{legal}" lets nobody follow without a consent of '
            f"its own; hint: {instead}"
        )
        yield Mistake(tree.find(loc), text)
