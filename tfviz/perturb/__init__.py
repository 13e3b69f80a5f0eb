"""Black box: which pixels a score depends on, found by changing pixels and looking at the score alone.

Every method is `f(predict, images, target=None, *, ...)`. `predict(images) -> scores` is a Keras model, or any function
(a TensorFlow Lite interpreter, a device, a web service); how each is asked is in `_subject`. All of them ask for the
scores of images mixed with a fill by masks, as one flat stream of images x samples of a fixed batch size, so memory
does not grow with the number of samples; the draws hang on `seed` and on nothing else, so a batch gives what its images
give one by one. Answers are `(B, H, W)`, float32 and raw.
"""

from tfviz.perturb._hsic import hsic
from tfviz.perturb._kernel_shap import kernel_shap
from tfviz.perturb._lime import lime
from tfviz.perturb._occlusion import occlusion
from tfviz.perturb._rise import rise
from tfviz.perturb._sobol import sobol
from tfviz.perturb._superpixels import superpixels

__all__ = ["hsic", "kernel_shap", "lime", "occlusion", "rise", "sobol", "superpixels"]
