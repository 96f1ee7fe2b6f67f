"""Where carts come from: one file each, found by its presence."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping

from daemon.shops.base import Shop


def discover() -> Mapping[str, type[Shop]]:
    """Every connector by its word in shops.yaml: each file here that says `SHOP = …`."""
    files = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in files]
    shops: list[type[Shop]] = [module.SHOP for module in modules if hasattr(module, "SHOP")]
    return {shop.name: shop for shop in shops}
