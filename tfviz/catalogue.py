"""Every method of explanation, once: what it is called, where it lives, what it shows, whose it is. Imports no one."""

import dataclasses
from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal

Kind = Literal["pixel", "layer", "black-box"]


@dataclasses.dataclass(frozen=True)
class Method:
    """One method of explanation.

    `kind` says what its function takes: "pixel" `f(model, images, target)`, "layer" the same with `layer=`,
    "black-box" `f(predict, images, target)`. `signed` says that the answer is for and against, not only how much.
    """

    name: str
    kind: Kind
    where: str
    line: str
    source: str
    signed: bool = False

    @property
    def function(self) -> Callable[..., Any]:
        """The function; imports TensorFlow."""
        module, _, name = self.where.partition(":")
        return getattr(import_module(module), name)


METHODS = {
    method.name: method
    for method in (
        Method(
            "gradient",
            "pixel",
            "tfviz.gradients:gradient",
            "how the score changes with each pixel",
            "Simonyan et al. 2013",
            signed=True,
        ),
        Method(
            "saliency",
            "pixel",
            "tfviz.gradients:saliency",
            "the gradient's largest size over the channels",
            "Simonyan et al. 2013",
        ),
        Method(
            "saliency-sum",
            "pixel",
            "tfviz.gradients:saliency_sum",
            "the gradient's size, summed over the channels",
            "Simonyan et al. 2013",
        ),
        Method(
            "gradient-input",
            "pixel",
            "tfviz.gradients:gradient_input",
            "pixel times gradient",
            "Shrikumar et al. 2016",
            signed=True,
        ),
        Method(
            "smoothgrad",
            "pixel",
            "tfviz.gradients:smoothgrad",
            "the mean gradient over noisy copies",
            "Smilkov et al. 2017",
            signed=True,
        ),
        Method(
            "squaregrad",
            "pixel",
            "tfviz.gradients:squaregrad",
            "the mean squared gradient over noisy copies",
            "Hooker et al. 2019",
        ),
        Method(
            "vargrad",
            "pixel",
            "tfviz.gradients:vargrad",
            "the gradient's variance over noisy copies",
            "Adebayo et al. 2018",
        ),
        Method(
            "integrated-gradients",
            "pixel",
            "tfviz.gradients:integrated_gradients",
            "the gradient integrated from a baseline; adds up to the score's change",
            "Sundararajan et al. 2017",
            signed=True,
        ),
        Method(
            "expected-gradients",
            "pixel",
            "tfviz.gradients:expected_gradients",
            "Integrated Gradients over many baselines at once",
            "Erion et al. 2021",
            signed=True,
        ),
        Method(
            "blur-ig",
            "pixel",
            "tfviz.gradients:blur_integrated_gradients",
            "the gradient integrated from a blurred image; no baseline colour to choose",
            "Xu et al. 2020",
            signed=True,
        ),
        Method(
            "full-grad",
            "pixel",
            "tfviz.gradients:full_grad",
            "what pixels and what the biases of every layer say, all of the score",
            "Srinivas and Fleuret 2019",
        ),
        Method(
            "guided-backprop",
            "pixel",
            "tfviz.gradients:guided_backprop",
            "the gradient with negative signals cut at every ReLU; edges, not reasons",
            "Springenberg et al. 2015",
            signed=True,
        ),
        Method(
            "deconvnet",
            "pixel",
            "tfviz.gradients:deconvnet",
            "signals sent back through rectified ReLUs; edges, not reasons",
            "Zeiler and Fergus 2014",
            signed=True,
        ),
        Method(
            "guided-grad-cam",
            "pixel",
            "tfviz.gradients:guided_grad_cam",
            "guided backpropagation's edges where Grad-CAM looks",
            "Selvaraju et al. 2017",
            signed=True,
        ),
        Method(
            "cam",
            "layer",
            "tfviz.cam:class_activation_map",
            "the last maps weighted by the head, for pooling and one Dense",
            "Zhou et al. 2016",
            signed=True,
        ),
        Method(
            "grad-cam",
            "layer",
            "tfviz.cam:grad_cam",
            "a layer's maps weighted by their mean gradient",
            "Selvaraju et al. 2017",
        ),
        Method(
            "grad-cam++",
            "layer",
            "tfviz.cam:grad_cam_plus_plus",
            "Grad-CAM that weighs several objects of a class alike",
            "Chattopadhay et al. 2018",
        ),
        Method(
            "hires-cam",
            "layer",
            "tfviz.cam:hires_cam",
            "maps times gradients, place by place",
            "Draelos and Carin 2020",
        ),
        Method(
            "layer-cam",
            "layer",
            "tfviz.cam:layer_cam",
            "maps times positive gradients, place by place; for early layers too",
            "Jiang et al. 2021",
        ),
        Method(
            "xgrad-cam",
            "layer",
            "tfviz.cam:xgrad_cam",
            "Grad-CAM with gradients averaged in proportion to the maps",
            "Fu et al. 2020",
        ),
        Method(
            "elementwise-grad-cam",
            "layer",
            "tfviz.cam:elementwise_grad_cam",
            "what speaks for the target at each place, nothing set off",
            "pytorch-grad-cam",
        ),
        Method(
            "eigen-cam",
            "layer",
            "tfviz.cam:eigen_cam",
            "the maps' first principal component; does not look at the class",
            "Muhammad and Yeasin 2020",
            signed=True,
        ),
        Method(
            "eigen-grad-cam",
            "layer",
            "tfviz.cam:eigen_grad_cam",
            "the first principal component of maps times gradients",
            "pytorch-grad-cam",
        ),
        Method(
            "kpca-cam",
            "layer",
            "tfviz.cam:kpca_cam",
            "the places' first kernel principal component; does not look at the class",
            "Karmani et al. 2024",
            signed=True,
        ),
        Method(
            "fem",
            "layer",
            "tfviz.cam:fem",
            "where channels are unusually strong; does not look at the class",
            "Fuad et al. 2020",
        ),
        Method(
            "shapley-cam",
            "layer",
            "tfviz.cam:shapley_cam",
            "Grad-CAM with the score's curvature taken into account",
            "Cai 2025",
        ),
        Method(
            "finer-cam",
            "layer",
            "tfviz.cam:finer_cam",
            "why this class and not the ones it is easily taken for",
            "Zhang et al. 2025",
        ),
        Method(
            "fused-cam",
            "layer",
            "tfviz.cam:fused_cam",
            "the maps of several layers as one",
            "Jiang et al. 2021",
        ),
        Method(
            "random-cam",
            "layer",
            "tfviz.cam:random_cam",
            "a layer's maps weighted by chance: the baseline to beat",
            "pytorch-grad-cam",
        ),
        Method(
            "score-cam",
            "layer",
            "tfviz.cam.score:score_cam",
            "a layer's maps weighted by the score of the image seen through each",
            "Wang et al. 2020",
        ),
        Method(
            "ss-cam",
            "layer",
            "tfviz.cam.score:ss_cam",
            "Score-CAM with the scores averaged over noisy masks",
            "Wang et al. 2020b",
        ),
        Method(
            "is-cam",
            "layer",
            "tfviz.cam.score:is_cam",
            "Score-CAM with the scores integrated as the masks fade in",
            "Naidu et al. 2020",
        ),
        Method(
            "ablation-cam",
            "layer",
            "tfviz.cam.ablation:ablation_cam",
            "a layer's maps weighted by how much the score drops without each",
            "Desai and Ramaswamy 2020",
        ),
        Method(
            "occlusion",
            "black-box",
            "tfviz.perturb:occlusion",
            "how much the score drops when a patch is covered",
            "Zeiler and Fergus 2014",
            signed=True,
        ),
        Method(
            "rise",
            "black-box",
            "tfviz.perturb:rise",
            "random masks, weighted by the score of what they leave",
            "Petsiuk et al. 2018",
        ),
        Method(
            "lime",
            "black-box",
            "tfviz.perturb:lime",
            "a linear model of the score over superpixels",
            "Ribeiro et al. 2016",
            signed=True,
        ),
        Method(
            "kernel-shap",
            "black-box",
            "tfviz.perturb:kernel_shap",
            "each superpixel's fair share of the score; adds up to its change",
            "Lundberg and Lee 2017",
            signed=True,
        ),
        Method(
            "sobol",
            "black-box",
            "tfviz.perturb:sobol",
            "the share of the score's variance that goes with each cell",
            "Fel et al. 2021",
        ),
        Method(
            "hsic",
            "black-box",
            "tfviz.perturb:hsic",
            "how strongly the score depends on seeing each cell",
            "Novello et al. 2022",
        ),
    )
}
