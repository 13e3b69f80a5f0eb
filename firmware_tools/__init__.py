"""Put a small CNN on a microcontroller and prove, layer by layer, that the microcontroller sees the same.

Names are listed in `__init__.pyi` and loaded when first used.
"""

try:
    import lazy_loader
except ModuleNotFoundError:  # `python -m firmware_tools.serve` runs where only NumPy and a runtime are installed
    pass
else:
    __getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
