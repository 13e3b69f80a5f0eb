"""One small module for each op, or each family that shares a kernel; importing a module registers its ops."""

import importlib
import pkgutil


def load() -> None:
    """Import every module of this folder."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
