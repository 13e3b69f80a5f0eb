"""Desktop engines: float Keras, LiteRT with two kernel sets, and TensorFlow Lite Micro, each a `tfviz.trace.Engine`.

There is no single desktop truth for int8: LiteRT's default kernels (XNNPACK) round once, TensorFlow Lite Micro's round
twice. So every engine names its kernel set and version in `kernels`, and no verdict is given without it. TensorFlow,
LiteRT and TensorFlow Lite Micro are imported when an engine is made.
"""

from firmware_tools.reference.desktop import DesktopEngine
from firmware_tools.reference.keras_engine import KerasEngine
from firmware_tools.reference.runtimes import has_tflm, litert, litert_xnnpack, tflm

__all__ = ["DesktopEngine", "KerasEngine", "has_tflm", "litert", "litert_xnnpack", "tflm"]
