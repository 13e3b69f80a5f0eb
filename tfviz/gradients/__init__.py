"""Which pixels a score depends on: the gradient with respect to the input, and what is made of many of them.

Every function answers `(B, H, W)`, float32 and raw: signed attributions are summed over the channels (so that
completeness can be checked on them), magnitudes are reduced as each docstring says. For several inputs, the answer is
in the structure in which they were given. `images` is `(B, H, W, C)` or one image; `target` is anything that
`tfviz.target.plan` takes.
"""

from tfviz.gradients._blur import blur_integrated_gradients, blur_integrated_gradients_residual
from tfviz.gradients._expected import expected_gradients
from tfviz.gradients._full_grad import full_grad, full_grad_residual
from tfviz.gradients._guided_grad_cam import guided_grad_cam
from tfviz.gradients._plain import (
    deconvnet,
    gradient,
    gradient_input,
    guided_backprop,
    saliency,
    saliency_sum,
)
from tfviz.gradients._sampled import (
    integrated_gradients,
    integrated_gradients_residual,
    smoothgrad,
    squaregrad,
    vargrad,
)

__all__ = [
    "blur_integrated_gradients",
    "blur_integrated_gradients_residual",
    "deconvnet",
    "expected_gradients",
    "full_grad",
    "full_grad_residual",
    "gradient",
    "gradient_input",
    "guided_backprop",
    "guided_grad_cam",
    "integrated_gradients",
    "integrated_gradients_residual",
    "saliency",
    "saliency_sum",
    "smoothgrad",
    "squaregrad",
    "vargrad",
]
