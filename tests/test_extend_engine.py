"""The pages about the engine: one convolution is in flash as they say, and the recipe for an op gives an op."""

import doctest
import re
import types
from pathlib import Path

import native
import numpy as np
from native import KERNELS, NativeModel, compile_c
from tflite_files import FileBuilder
from tflm import Reference

from firmware_tools import codegen, graph
from firmware_tools.codegen import registry

DOCS = Path(__file__).parents[1] / "docs"


def page_values():
    """Runs the page; what its names stand for at the end."""
    text = (DOCS / "one-convolution.md").read_text().replace("```pycon\n", "").replace("```\n", "\n")
    test = doctest.DocTestParser().get_doctest(text, {}, "one-convolution.md", None, 0)
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(test, clear_globs=False)
    assert runner.summarize(verbose=False).failed == 0
    return types.SimpleNamespace(**{name: value for name, value in test.globs.items() if name[:1].isalpha()})


def test_the_pages_convolution_is_what_flash_holds_and_what_tflm_computes(tmp_path):
    page = page_values()
    file = FileBuilder()
    source = file.tensor((1, 2, 2, 1), scale=page.input_scale, zero_point=page.input_zero)
    kernel = file.tensor(
        (1, 2, 2, 1), scale=page.weight_scale, data=np.array(page.weights, np.int8).reshape(1, 2, 2, 1)
    )
    bias = file.tensor(
        (1,), dtype="int32", scale=page.input_scale * page.weight_scale, data=np.array([page.bias], np.int32)
    )
    target = file.tensor((1, 1, 1, 1), scale=page.output_scale, zero_point=page.output_zero)
    steps = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1, "padding": 1}
    file.op("CONV_2D", [source, kernel, bias], [target], "Conv2DOptions", fusedActivationFunction=1, **steps)
    model = graph.load(file.pack([source], [target]))
    text = codegen.generate(model).files["model.c"]
    (row,) = [line for line in text.splitlines() if f"{{{page.in_flash}, {page.multiplier}," in line]
    assert f", {page.shift}}}" in row
    pixels = np.array(page.pixels, np.int8).reshape(1, 2, 2, 1)
    assert NativeModel(model, tmp_path / "native").run(pixels)[target].item() == page.output
    assert Reference(model).run(pixels)[target].item() == page.output


def test_the_recipe_for_an_op_gives_an_op_that_is_exact(tmp_path, monkeypatch):
    page = (DOCS / "extend.md").read_text()
    (kernel,) = re.findall(r"```c\n(.*?)```", page, re.DOTALL)
    (recipe,) = [code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "@lowers" in code]
    assert kernel.count("\n") + recipe.count("\n") < 50
    assert "NEG" not in codegen.known_ops()
    monkeypatch.setitem(registry._OF_TYPE, ("NEG", "float32"), None)  # so that it is taken out again
    exec(compile(recipe, "extend.md", "exec"), {"__name__": "recipe"})

    declared = kernel[: kernel.rindex("void nn_neg")]
    (tmp_path / "neg.h").write_text(f"#ifndef NN_NEG_H\n#define NN_NEG_H\n{declared}\n#endif\n")
    (tmp_path / "neg.c").write_text('#include "neg.h"\n' + kernel[kernel.rindex("void nn_neg") :])
    built = tmp_path / "nn.o"
    compile_c("-r", "-nostdlib", "-fPIC", "-O2", str(tmp_path / "neg.c"), "-o", str(built))
    monkeypatch.setattr(native, "kernel_library", lambda *_: built)
    file = FileBuilder()
    source, target = (file.tensor((1, 3, 5), dtype="float32") for _ in range(2))
    file.op("NEG", [source], [target], "NegOptions")
    model = graph.load(file.pack([source], [target]))
    assert codegen.check(model) == ()
    values = np.random.default_rng(0).normal(size=(1, 3, 5)).astype(np.float32)
    made = NativeModel(model, tmp_path / "native", flags=(f"-I{tmp_path}", f"-I{KERNELS}")).run(values)[target]
    np.testing.assert_array_equal(made, -values)
    np.testing.assert_array_equal(made, Reference(model).run(values)[target])
