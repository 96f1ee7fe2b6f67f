"""The shops of the osCommerce family, one data file each, found by its presence."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

from daemon.shops.dialects.dialect import Dialect, Standing

__all__ = ["DIALECTS", "Dialect", "Standing"]


def found() -> dict[str, Dialect]:
    modules = (importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    dialects = (module.DIALECT for module in modules if hasattr(module, "DIALECT"))
    return {dialect.name: dialect for dialect in dialects}


DIALECTS: Mapping[str, Dialect] = MappingProxyType(found())
