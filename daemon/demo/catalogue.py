"""What the pretend shop sells, with pictures that it draws itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

SHOP = "Morgenrot"
ACCENT = "#b4472f"
CURRENCY = "EUR"


@dataclass(frozen=True, slots=True)
class Ware:
    """A product. `options` are what can be chosen, such as colours; `hue` is that of its picture, in degrees."""

    ref: str
    names: Mapping[str, str]
    price: Decimal
    category: str
    hue: int
    shape: str
    options: Mapping[str, str]

    def name(self, locale: str) -> str:
        return self.names["de" if locale.startswith("de") else "en"]

    def option(self, locale: str) -> str:
        return self.options.get("de" if locale.startswith("de") else "en", "")


def _ware(ref: str, de: str, en: str, price: str, category: str, hue: int, shape: str, *options: str) -> Ware:
    return Ware(
        ref,
        {"de": de, "en": en},
        Decimal(price),
        category,
        hue,
        shape,
        dict(zip(("de", "en"), options, strict=True)) if options else {},
    )


WARES: Mapping[str, Ware] = {
    ware.ref: ware
    for ware in (
        _ware("becher", "Becher „Erste Stunde“", "Mug “First Hour”", "18.50", "table", 14, "mug", "Ton", "terracotta"),
        _ware("teekanne", "Teekanne mit Holzgriff", "Teapot with wooden handle", "64.00", "table", 172, "teapot"),
        _ware("schale", "Große Obstschale", "Large fruit bowl", "39.90", "table", 205, "bowl", "Blau", "blue"),
        _ware("vase", "Vase, mundgeblasen", "Mouth-blown vase", "52.00", "decor", 150, "vase", "Moos", "moss"),
        _ware("kerze", "Bienenwachskerzen, 3 Stück", "Beeswax candles, set of 3", "16.90", "decor", 44, "candle"),
        _ware("leuchte", "Tischleuchte „Amsel“", "Table lamp “Blackbird”", "129.00", "light", 35, "lamp"),
        _ware(
            "decke", "Wolldecke aus Lammwolle", "Lambswool blanket", "89.00", "textile", 352, "blanket", "Rost", "rust"
        ),
        _ware("kissen", "Leinenkissen", "Linen cushion", "34.00", "textile", 262, "cushion", "Flieder", "lilac"),
        _ware("uhr", "Wanduhr, sehr leise", "Wall clock, very quiet", "74.50", "decor", 220, "clock"),
        _ware("pflanze", "Zimmerlinde im Tontopf", "African hemp in a clay pot", "27.00", "plants", 110, "plant"),
        _ware("heft", "Notizheft, fadengeheftet", "Notebook, thread-bound", "12.00", "desk", 190, "book", "A5", "A5"),
        _ware("hocker", "Hocker aus Eiche", "Oak stool", "148.00", "furniture", 28, "stool"),
    )
}

SHAPES: Mapping[str, str] = {
    "mug": '<path d="M120 130h130v130a40 40 0 0 1-40 40h-50a40 40 0 0 1-40-40z" fill="{a}"/>'
    '<path d="M250 160h20a36 36 0 0 1 0 72h-20" fill="none" stroke="{a}" stroke-width="20"/>'
    '<ellipse cx="185" cy="130" rx="65" ry="16" fill="{c}"/>'
    '<path d="M160 100q-14-18 0-36M205 100q-14-18 0-36" fill="none" stroke="{b}" stroke-width="8"'
    ' stroke-linecap="round"/>',
    "teapot": '<path d="M110 210a90 80 0 0 1 180 0v30a60 60 0 0 1-60 60h-60a60 60 0 0 1-60-60z" fill="{a}"/>'
    '<path d="M285 205q45-5 50-55h22q-5 85-72 105z" fill="{a}"/>'
    '<path d="M130 150a70 62 0 0 1 140 0" fill="none" stroke="#8a5a36" stroke-width="16"/>'
    '<path d="M140 165q60-34 120 0z" fill="{c}"/><circle cx="200" cy="140" r="13" fill="{c}"/>',
    "bowl": '<circle cx="165" cy="172" r="38" fill="#d9873b"/><circle cx="228" cy="166" r="44" fill="#c8412f"/>'
    '<circle cx="272" cy="180" r="30" fill="#7d9a3c"/><path d="M90 185h220q-6 105-80 115h-60q-74-10-80-115z" '
    'fill="{a}"/><path d="M90 185h220l-3 22H93z" fill="{c}"/>',
    "vase": '<path d="M175 110h50q-8 40 30 80 40 50-8 110h-94q-48-60-8-110 38-40 30-80z" fill="{a}"/>'
    '<path d="M200 112V50M200 92q-44-6-50-50M200 80q40-4 46-44" fill="none" stroke="#5e7a45" stroke-width="7"/>'
    '<circle cx="200" cy="46" r="17" fill="{b}"/><circle cx="149" cy="40" r="13" fill="{b}"/>'
    '<circle cx="247" cy="34" r="14" fill="{b}"/>',
    "candle": '<rect x="95" y="180" width="56" height="120" rx="10" fill="{a}"/>'
    '<rect x="172" y="130" width="56" height="170" rx="10" fill="{b}"/>'
    '<rect x="249" y="205" width="56" height="95" rx="10" fill="{a}"/>'
    '<g fill="#f4a62a"><path d="M123 176q-18-20 0-44 18 24 0 44zM200 126q-18-20 0-44 18 24 0 44z'
    'M277 201q-18-20 0-44 18 24 0 44z"/></g>',
    "lamp": '<path d="M140 90h120l40 100H100z" fill="{a}"/><rect x="192" y="190" width="16" height="90" fill="{d}"/>'
    '<ellipse cx="200" cy="288" rx="66" ry="16" fill="{d}"/>'
    '<path d="M108 190h184l30 90H78z" fill="#fff3c4" opacity=".55"/>',
    "blanket": '<path d="M95 130h180a30 30 0 0 1 30 30v110H125a30 30 0 0 1-30-30z" fill="{a}"/>'
    '<path d="M95 165h210M95 200h210M95 235h210" stroke="{b}" stroke-width="10"/>'
    '<path d="M125 270v26M155 270v26M185 270v26M215 270v26M245 270v26M275 270v26M303 270v26" stroke="{c}" '
    'stroke-width="7"/>',
    "cushion": '<path d="M90 110q110 24 220 0-24 90 0 180-110-24-220 0 24-90 0-180z" fill="{a}"/>'
    '<path d="M122 140q78 14 156 0M122 262q78-14 156 0" fill="none" stroke="{b}" stroke-width="6" '
    'stroke-dasharray="10 9"/><circle cx="200" cy="200" r="9" fill="{c}"/>',
    "clock": '<circle cx="200" cy="200" r="112" fill="{a}"/><circle cx="200" cy="200" r="92" fill="#fffdf8"/>'
    '<path d="M200 200v-62M200 200l44 26" stroke="{d}" stroke-width="11" stroke-linecap="round"/>'
    '<path d="M200 116v14M200 270v14M116 200h14M270 200h14" stroke="{c}" stroke-width="8"/>'
    '<circle cx="200" cy="200" r="9" fill="{d}"/>',
    "plant": '<path d="M140 225h120l-16 80h-88z" fill="#bf6b45"/><rect x="130" y="208" width="140" height="26" rx="6" '
    'fill="#a9583a"/><g fill="{a}"><path d="M200 210q-90-20-96-110 88 8 96 110zM200 210q90-20 96-110-88 8-96 110z"/>'
    '</g><path d="M200 212q-40-70 0-146 40 76 0 146z" fill="{c}"/>',
    "book": '<rect x="110" y="90" width="180" height="220" rx="12" fill="{a}"/>'
    '<rect x="110" y="90" width="34" height="220" rx="10" fill="{c}"/>'
    '<rect x="172" y="136" width="90" height="44" rx="5" fill="#fffdf8"/>'
    '<path d="M186 152h62M186 166h40" stroke="{d}" stroke-width="5"/>',
    "stool": '<path d="M142 180l-34 126M258 180l34 126M180 184l-8 122M220 184l8 122" stroke="{c}" stroke-width="15" '
    'stroke-linecap="round"/><path d="M130 252h140" stroke="{c}" stroke-width="10"/>'
    '<ellipse cx="200" cy="166" rx="112" ry="30" fill="{c}"/><ellipse cx="200" cy="156" rx="112" ry="28" fill="{a}"/>',
}


def picture(ware: Ware) -> str:
    """An SVG of the product, 400 by 400."""
    hue = ware.hue
    colours = {"a": f"hsl({hue} 45% 52%)", "b": f"hsl({hue} 55% 80%)", "c": f"hsl({hue} 45% 38%)", "d": "#3a332e"}
    shape = SHAPES[ware.shape]
    for letter, colour in colours.items():
        shape = shape.replace(f"{{{letter}}}", colour)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 400" width="400" height="400">'
        f'<defs><linearGradient id="g" x2="0" y2="1"><stop stop-color="hsl({hue} 40% 96%)"/>'
        f'<stop offset="1" stop-color="hsl({hue} 35% 86%)"/></linearGradient></defs>'
        '<rect width="400" height="400" fill="url(#g)"/><ellipse cx="200" cy="308" rx="120" ry="14" fill="#0001"/>'
        f"{shape}</svg>"
    )


def logo() -> str:
    """The shop's sign: a sun that rises over its name."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 240 48" width="240" height="48">'
        f'<path d="M6 34a18 18 0 0 1 36 0z" fill="{ACCENT}"/><path d="M2 38h44" stroke="{ACCENT}" stroke-width="3"/>'
        f'<text x="58" y="34" font-family="Georgia,serif" font-size="27" fill="#2b2622">{SHOP}</text></svg>'
    )
