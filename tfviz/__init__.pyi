# What `tfviz` offers. Read by type checkers, and at run time by lazy_loader, which wants relative imports of this form.
from . import (
    callbacks,
    cam,
    catalogue,
    data,
    errors,
    files,
    gradients,
    image,
    maps,
    metrics,
    models,
    network,
    objective,
    parametrisation,
    perturb,
    plot,
    preprocess,
    registry,
    report,
    store,
    tap,
    target,
    trace,
    train,
    transform,
    zoo,
)
from ._evaluate import evaluate
from ._explain import explain_all
from ._maximize import activations, maximize
from .cam import (
    ablation_cam,
    cams,
    class_activation_map,
    eigen_cam,
    eigen_grad_cam,
    eigen_smoothed,
    elementwise_grad_cam,
    fem,
    finer_cam,
    flip_smoothed,
    fuse,
    fused_cam,
    grad_cam,
    grad_cam_plus_plus,
    hires_cam,
    is_cam,
    kpca_cam,
    layer_cam,
    random_cam,
    score_cam,
    shapley_cam,
    ss_cam,
    xgrad_cam,
)
from .errors import EmptyMapWarning, InputError, LinkError
from .gradients import (
    blur_integrated_gradients,
    blur_integrated_gradients_residual,
    deconvnet,
    expected_gradients,
    full_grad,
    full_grad_residual,
    gradient,
    gradient_input,
    guided_backprop,
    guided_grad_cam,
    integrated_gradients,
    integrated_gradients_residual,
    saliency,
    saliency_sum,
    smoothgrad,
    squaregrad,
    vargrad,
)
from .image import colour_map, normalize, overlay, read_image, resize
from .maps import feature_maps, kernels
from .models import load_model
from .network import channel_statistics, correct_and_wrong, receptive_field, receptive_fields, top_images
from .perturb import hsic, kernel_shap, lime, occlusion, rise, sobol, superpixels
from .preprocess import Preprocess
from .store import MapStore, open_maps
from .tap import layers, submodel
from .trace import Engine, Step, Tensor, Trace

__version__: str
