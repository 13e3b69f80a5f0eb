"""See what a small convolutional network sees: feature maps, saliency, class activation maps of any Keras 3 model.

Names are listed in `__init__.pyi` and loaded when first used: `import tfviz` loads neither TensorFlow nor OpenCV.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"
