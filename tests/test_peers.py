"""Agreement with other libraries on the same weights, their normalising and resizing undone.

Each library runs in a process of its own with what `make peers` installed in build/peers; without it, nothing runs.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

from tfviz import cam, gradients, perturb

BENCH = Path(__file__).parents[1] / "bench"
PEERS = BENCH.parent / "build" / "peers"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::tfviz.errors.EmptyMapWarning"),
    pytest.mark.skipif(not (PEERS / "xplique").is_dir(), reason="the peers are not installed: make peers"),
]


@pytest.fixture(scope="module", params=["a", "colour"])
def net(request):
    """Its name and the network; the bench's modules are known for as long as these tests run."""
    sys.path.insert(0, str(BENCH))
    from explanations.nets import NETS

    yield request.param, NETS[request.param]()
    sys.path.remove(str(BENCH))


@pytest.fixture(scope="module")
def ask(net):
    """The answers of a peer on the same network, one process for each peer."""
    from explanations.process import Process

    running = {}

    def answer(peer, item):
        if peer not in running:
            running[peer] = Process(peer, net[0])
            running[peer].__enter__()
        return running[peer].answer(item)[0]

    yield answer
    for process in running.values():
        process.__exit__()


def assert_agree(theirs, ours, tolerance=2e-6):
    """Within a few roundings of the largest value."""
    assert theirs.shape == ours.shape
    largest = np.abs(theirs).max()
    assert largest > 0
    np.testing.assert_allclose(ours / largest, theirs / largest, rtol=0, atol=tolerance)


@pytest.mark.parametrize("peer", ["tf_keras_vis", "xplique"])
def test_grad_cam_agrees(net, ask, peer):
    net = net[1]
    assert_agree(ask(peer, "Grad-CAM"), cam.grad_cam(net.model, net.images, net.classes, layer=net.layer))


@pytest.mark.parametrize("peer", ["tf_keras_vis", "xplique"])
def test_saliency_agrees(net, ask, peer):
    net = net[1]
    assert_agree(ask(peer, "gradient"), gradients.saliency(net.model, net.images, net.classes))


@pytest.mark.parametrize("peer", ["tf_keras_vis", "xplique"])
def test_smoothgrad_without_noise_agrees_and_is_the_gradient(net, ask, peer):
    net = net[1]
    some = net.classes[: net.sampled]
    ours = gradients.smoothgrad(net.model, net.few, some, samples=5, noise=0.0)
    assert_agree(ask(peer, "SmoothGrad without noise"), ours)
    assert_agree(ours, gradients.gradient(net.model, net.few, some))


def test_integrated_gradients_by_trapezoid_agree_with_xplique(net, ask):
    net = net[1]
    ours = gradients.integrated_gradients(net.model, net.few, net.classes[: net.sampled], steps=50, rule="trapezoid")
    assert_agree(ask("xplique", "Integrated Gradients x 50"), ours)


def test_occlusion_agrees_with_xplique(net, ask):
    net = net[1]
    ours = perturb.occlusion(net.model, net.few, net.classes[: net.sampled], patch=8)
    # A difference of two logits: its rounding is that of the logits, not of the small difference.
    assert_agree(ask("xplique", "occlusion, 64 patches"), ours, tolerance=2e-4)


def test_tf_explain_agrees_where_it_computes_the_same(net, ask):
    net = net[1]
    assert_agree(ask("tf_explain", "Grad-CAM of class 2"), cam.grad_cam(net.model, net.images, 2, layer=net.layer))
    assert_agree(ask("tf_explain", "gradient of class 2"), gradients.saliency(net.model, net.images, 2))


def test_tf_explains_integrated_gradients_are_the_plain_mean_of_the_gradients_without_the_way(net, ask):
    """Theirs: neither the trapezoid's half weights at the ends nor the factor x - x0, so nothing is complete."""
    net = net[1]
    theirs = ask("tf_explain", "mean gradient on the path")
    points = [gradients.gradient(net.model, place * net.few, 2) for place in np.linspace(0, 1, 50)]
    assert_agree(theirs.sum(axis=-1), np.mean(points, axis=0))
    gained = net.model(net.few).numpy()[:, 2] - net.model(0 * net.few).numpy()[:, 2]
    residual = gradients.integrated_gradients_residual(net.model, net.few, 2, steps=50)
    assert np.abs(theirs.sum(axis=(1, 2, 3)) - gained).max() > 10 * np.abs(residual).max()


def test_tf_keras_vis_weighs_score_cam_by_probabilities_of_the_classes(net, ask):
    """Theirs: a softmax over the classes in place of the paper's over the channels, on corner-aligned masks.

    So its weights are not ours; both are rectified sums of the same maps, and agree in which maps they sum.
    """
    from tfviz.cam.score import score_cam

    net = net[1]
    theirs = ask("tf_keras_vis", "Score-CAM")
    ours = score_cam(net.model, net.few, net.classes[: net.sampled], layer=net.layer)
    assert theirs.shape == ours.shape
    assert np.abs(theirs / theirs.max() - ours / ours.max()).max() > 1e-3
