"""tf-explain 0.3.1 (MIT). It explains one class for all images."""

import numpy as np
from explanations.floors import NOISE, PATCH, SAMPLES, Items
from explanations.nets import Net
from tf_explain.core.activations import ExtractActivations
from tf_explain.core.grad_cam import GradCAM
from tf_explain.core.integrated_gradients import IntegratedGradients
from tf_explain.core.occlusion_sensitivity import OcclusionSensitivity
from tf_explain.core.smoothgrad import SmoothGrad
from tf_explain.core.vanilla_gradients import VanillaGradients

CLASS = 2


def items(net: Net) -> Items:
    model, data, few = net.model, (net.images, None), (net.few, None)
    # Their picture of several layers at once needs layers of one size; this is the call underneath it.
    maps = ExtractActivations(batch_size=len(net.images)).generate_activations_graph
    grad_cam, saliency, smooth = GradCAM(), VanillaGradients(), SmoothGrad()
    path, occlusion = IntegratedGradients(), OcclusionSensitivity(batch_size=64)
    return {
        "feature maps": lambda: maps(model, net.convolutions).predict(net.images, batch_size=32, verbose=0),
        "Grad-CAM": lambda: grad_cam.explain(data, model, CLASS, net.layer, use_guided_grads=False),
        "gradient": lambda: saliency.explain_score_model(data, model, CLASS),
        "SmoothGrad x 50": lambda: smooth.explain(few, model, CLASS, num_samples=SAMPLES, noise=2 * NOISE),
        "Integrated Gradients x 50": lambda: path.explain(few, model, CLASS, n_steps=SAMPLES),
        "occlusion, 64 patches": lambda: occlusion.explain(few, model, CLASS, PATCH),
    }


def answers(net: Net) -> Items:
    model = net.model

    def grad_cam() -> np.ndarray:
        maps, gradients = GradCAM.get_gradients_and_filters(model, net.images, net.layer, CLASS, False)
        return np.maximum(np.stack(GradCAM.generate_ponderated_output(maps, gradients)), 0)

    def path() -> np.ndarray:
        points = IntegratedGradients.generate_interpolations(net.few, SAMPLES).astype(np.float32)
        return IntegratedGradients.get_integrated_gradients(points, model, CLASS, SAMPLES).numpy()

    return {
        "Grad-CAM of class 2": grad_cam,
        "gradient of class 2": lambda: np.abs(VanillaGradients.compute_gradients(net.images, model, CLASS).numpy()).max(
            axis=-1
        ),
        "mean gradient on the path": path,
    }
