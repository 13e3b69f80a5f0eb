"""Black-box explanations of a quantised model, on this computer and on an emulated board."""

import numpy as np
import pytest
from chain import PREPROCESS, keras_file, tflite_file

import tfviz
from firmware_tools.engines import open_engine
from firmware_tools.explain import predictor
from tfviz.errors import InputError

X = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)


def explained(spec):
    with open_engine(spec) as engine:
        return tfviz.occlusion(predictor(engine, preprocess=PREPROCESS), X, 1, patch=8)


def test_a_patch_drop_is_the_difference_of_the_engines_own_two_answers():
    with open_engine(f"tflm:{tflite_file()}") as engine:
        predict = predictor(engine, preprocess=PREPROCESS)
        covered = X.copy()
        covered[:, 8:, :8] = 0
        want = (predict(X) - predict(covered))[:, 1]
        got = tfviz.occlusion(predict, X, 1, patch=8)
    np.testing.assert_array_equal(got[:, 15, 0], want)
    # A softmax in int8 has steps of 1/256, and so have the drops.
    np.testing.assert_array_equal(got * 256, np.rint(got * 256))
    assert got.any()


def test_an_emulated_board_is_explained_as_the_exact_reference_on_this_computer_is():
    want = explained(f"tflm:{tflite_file()}")
    np.testing.assert_array_equal(explained(f"emulator:nano33ble:{tflite_file()}"), want)


def test_the_quantised_model_is_explained_as_the_float_model_is_but_for_rounding():
    model = tfviz.load_model(str(keras_file()))
    want = tfviz.occlusion(model, PREPROCESS(X), tfviz.target.probability(1), patch=8)
    np.testing.assert_allclose(explained(f"tflm:{tflite_file()}"), want, atol=0.03)


def test_a_keras_engine_is_refused_with_what_to_give_instead():
    with open_engine(f"keras:{keras_file()}") as engine, pytest.raises(InputError, match="the Keras model itself"):
        predictor(engine)
