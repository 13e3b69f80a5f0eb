"""Class activation maps: where in a layer the score comes from.

Every function answers `(B, h, w)`, float32 and raw, at the layer's own resolution, after the final ReLU where the
method's paper has one. The signed maps underneath are the functions of `tfviz.cam.members` and
`tfviz.cam.components`. What lives where: `by_gradient` the methods one by one, `together` several in one pass,
`closed_form` the first of them, `score` and `ablation` those that ask the model again, `contrast` why this class and
not its rivals, `chance` the baseline that knows nothing, `fusion` several layers in one map, `smoothing` what makes a
calmer method of any of them.
"""

from tfviz.cam import components, members
from tfviz.cam.ablation import ablation_cam
from tfviz.cam.by_gradient import (
    eigen_cam,
    eigen_grad_cam,
    elementwise_grad_cam,
    fem,
    grad_cam,
    grad_cam_plus_plus,
    hires_cam,
    kpca_cam,
    layer_cam,
    shapley_cam,
    xgrad_cam,
)
from tfviz.cam.chance import random_cam
from tfviz.cam.closed_form import class_activation_map
from tfviz.cam.contrast import finer_cam
from tfviz.cam.fusion import fuse, fused_cam
from tfviz.cam.score import is_cam, score_cam, ss_cam
from tfviz.cam.smoothing import eigen_smoothed, flip_smoothed
from tfviz.cam.together import MEMBERS, Member, cams

__all__ = [
    "MEMBERS",
    "Member",
    "ablation_cam",
    "cams",
    "class_activation_map",
    "components",
    "eigen_cam",
    "eigen_grad_cam",
    "eigen_smoothed",
    "elementwise_grad_cam",
    "fem",
    "finer_cam",
    "flip_smoothed",
    "fuse",
    "fused_cam",
    "grad_cam",
    "grad_cam_plus_plus",
    "hires_cam",
    "is_cam",
    "kpca_cam",
    "layer_cam",
    "members",
    "random_cam",
    "score_cam",
    "shapley_cam",
    "ss_cam",
    "xgrad_cam",
]
