"""The int8 ops as somebody else's plain C, put in the place of the built-in kernels in generated `model.c`.

Loops as in the formulas, weights as the file has them, bias not folded: what a kernel that was written for one board
may look like, and where faults are planted by a macro. Without one, it gives what TensorFlow Lite Micro gives.
"""

import re
from collections.abc import Callable, Mapping

import numpy as np

from firmware_tools import memory
from firmware_tools._diagnose.kernel import Kernel, kernel_of
from firmware_tools.graph import Graph
from tfviz.trace import Array

# What an array becomes before it is written to flash, by its name: "op_1_weights", "op_0_bias", "op_0_scales".
Stored = Mapping[str, Callable[[Array], Array]]

C = r"""
#include <string.h>
static int8_t plain_made[4096];
typedef struct {
    int ih, iw, id, oh, ow, od, fh, fw, sh, sw, pt, pl, izp, bzp, ozp, lo, hi;
    const int8_t *w;
    const int32_t *b, *m; /* m: multiplier and shift of each channel */
} plain;
static int32_t plain_rescale(int64_t x, const int32_t *m)
{
#ifdef SINGLE
    return (int32_t)((x * m[0] + ((int64_t)1 << (30 - m[1]))) >> (31 - m[1]));
#else
    int32_t shifted = (int32_t)(uint32_t)((uint64_t)x << (m[1] > 0 ? m[1] : 0));
    int32_t high = (int32_t)(((int64_t)shifted * m[0] + (1 << 30)) >> 31);
    int right = m[1] < 0 ? -m[1] : 0;
    if (right == 0) return high;
    int32_t rest = high & (int32_t)(((int64_t)1 << right) - 1), half = (int32_t)(((int64_t)1 << right) >> 1);
    return (high >> right) + (rest > half - (high >= 0)); /* halves away from zero */
#endif
}
static int8_t plain_clamp(const plain *p, int32_t x)
{
#ifdef WRAP
    return (int8_t)(p->lo > -128 && x < p->lo ? p->lo : x);
#else
    return (int8_t)(x < p->lo ? p->lo : x > p->hi ? p->hi : x);
#endif
}
static int8_t plain_finish(const plain *p, int32_t sum, int o)
{
#ifdef PER_TENSOR
    o = 0;
#endif
    return plain_clamp(p, p->ozp + plain_rescale(sum, p->m + 2 * o));
}
static int plain_inside(const plain *p, int y, int x) { return y >= 0 && y < p->ih && x >= 0 && x < p->iw; }
static void plain_conv_2d(const plain *p, const int8_t *in, const int8_t *unused, int8_t *out)
{
    const int products = p->fh * p->fw * p->id;
    for (int y = 0; y < p->oh; y++) for (int x = 0; x < p->ow; x++) for (int o = 0; o < p->od; o++) {
#ifdef CHANNELS
        if (o >= p->od / CHANNELS * CHANNELS) continue;
#endif
        int32_t sum = p->b[o];
        for (int k = 0; k < products; k++) {
            int iy = y * p->sh - p->pt + k / p->id / p->fw, ix = x * p->sw - p->pl + k / p->id % p->fw;
#ifdef PRODUCTS
            if (k >= products / PRODUCTS * PRODUCTS) break;
#endif
            if (plain_inside(p, iy, ix))
                sum += (in[(iy * p->iw + ix) * p->id + k % p->id] - p->izp) * p->w[o * products + k];
        }
        out[(y * p->ow + x) * p->od + o] = plain_finish(p, sum, o);
    }
}
static void plain_depthwise_conv_2d(const plain *p, const int8_t *in, const int8_t *unused, int8_t *out)
{
    for (int y = 0; y < p->oh; y++) for (int x = 0; x < p->ow; x++) for (int c = 0; c < p->od; c++) {
#ifdef COLUMNS
        if (x >= p->ow / COLUMNS * COLUMNS) continue;
#endif
        int32_t sum = p->b[c];
        for (int k = 0; k < p->fh * p->fw; k++) {
            int iy = y * p->sh - p->pt + k / p->fw, ix = x * p->sw - p->pl + k % p->fw;
            if (plain_inside(p, iy, ix)) sum += (in[(iy * p->iw + ix) * p->id + c] - p->izp) * p->w[k * p->od + c];
        }
        out[(y * p->ow + x) * p->od + c] = plain_finish(p, sum, c);
    }
}
static void plain_fully_connected(const plain *p, const int8_t *in, const int8_t *unused, int8_t *out)
{
    for (int o = 0; o < p->od; o++) {
        int32_t sum = p->b[o];
        for (int k = 0; k < p->id; k++) sum += (in[k] - p->izp) * p->w[o * p->id + k];
        out[o] = plain_finish(p, sum, o);
    }
}
static void plain_add(const plain *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    int n = p->od;
#ifdef VALUES
    n = n / VALUES * VALUES;
#endif
    for (int i = 0; i < n; i++) {
        int64_t left = plain_rescale((int64_t)(a[i] - p->izp) << 20, p->m);
        int64_t sum = left + plain_rescale((int64_t)(b[i] - p->bzp) << 20, p->m + 2);
#ifdef CUT_SUM
        out[i] = plain_clamp(p, p->ozp + (int32_t)((sum * p->m[4]) >> (31 - p->m[5])));
#else
        out[i] = plain_clamp(p, p->ozp + plain_rescale(sum, p->m + 4));
#endif
    }
}
static void plain_pool(const plain *p, const int8_t *in, int8_t *out, int largest)
{
    for (int y = 0; y < p->oh; y++) for (int x = 0; x < p->ow; x++) for (int c = 0; c < p->od; c++) {
        int32_t sum = 0, count = 0, most = -128;
        for (int k = 0; k < p->fh * p->fw; k++) {
            int iy = y * p->sh - p->pt + k / p->fw, ix = x * p->sw - p->pl + k % p->fw;
            if (!plain_inside(p, iy, ix)) continue;
            int v = in[(iy * p->iw + ix) * p->od + c];
            sum += v, count++, most = v > most ? v : most;
        }
#ifdef CUT_MEAN
        int32_t mean = sum / count;
#else
        int32_t mean = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
#endif
        out[(y * p->ow + x) * p->od + c] = plain_clamp(p, largest ? most : mean);
    }
}
static void plain_average_pool_2d(const plain *p, const int8_t *in, const int8_t *unused, int8_t *out)
{
    plain_pool(p, in, out, 0);
}
static void plain_max_pool_2d(const plain *p, const int8_t *in, const int8_t *unused, int8_t *out)
{
    plain_pool(p, in, out, 1);
}
"""


def with_plain_kernels(text: str, graph: Graph, plan: memory.Plan, stored: Stored, numbers: Mapping[str, int]) -> str:
    """`model.c` with these ops in place of the generated ones.

    Args:
        text: of `model.c`.
        graph, plan: what it was generated from.
        stored: changes of what lies in flash.
        numbers: other values of fields, by "op_1_lo" and its like.
    """
    done = False
    for op in graph.ops:
        kernel = kernel_of(graph, op)
        if kernel is None:
            continue
        places = [plan.offsets[i] for i in op.inputs if i in plan.offsets] + [plan.offsets[op.outputs[0]]]
        body = _arrays(op.index, kernel, stored, numbers)
        given = [f"(int8_t *)arena + {place}" for place in places]
        arguments = ", ".join([given[0], given[1] if len(given) == 3 else "0", "plain_made"])
        size = graph.tensors[op.outputs[0]].bytes
        # The output may lie over the input, which a built-in kernel knows how to do.
        body += f"static void op_{op.index}(uint8_t *arena)\n{{\n    memcpy(plain_made, {given[-1]}, {size});\n"
        body += f"    plain_{op.name.lower()}(&plain_{op.index}, {arguments});\n"
        body += f"    memcpy({given[-1]}, plain_made, {size});\n}}\n"
        if not done:
            body, done = C + body, True
        pattern = rf"static void op_{op.index}\(uint8_t \*arena\)\n{{.*?\n}}\n"
        text, count = re.subn(pattern, lambda _, b=body: b, text, flags=re.DOTALL)
        assert count == 1, f"op {op.index} is not in model.c"
    return text


def _arrays(index: int, kernel: Kernel, stored: Stored, numbers: Mapping[str, int]) -> str:
    """Constants and numbers of one op."""
    arrays: dict[str, Array] = {}
    if kernel.weights is not None:
        turned = kernel.weights.T if kernel.op == "DEPTHWISE_CONV_2D" else kernel.weights
        arrays["weights"] = np.ascontiguousarray(turned).ravel()
    if kernel.bias is not None:
        arrays["bias"] = kernel.bias.astype(np.int32)
    if kernel.scales is not None:
        arrays["scales"] = kernel.scales.astype(np.int32).ravel()
    text, names = "", dict.fromkeys(("weights", "bias", "scales"), "0")
    for name, values in arrays.items():
        symbol = f"op_{index}_{name}"
        names[name] = f"plain_{symbol}"
        changed = stored.get(symbol, lambda same: same)(values)
        listed = ", ".join(map(str, changed.tolist())).replace("-2147483648", "INT32_MIN")
        text += f"static const {values.dtype.name}_t plain_{symbol}[] = {{{listed}}};\n"
    s = kernel.shape
    size = int(np.prod(kernel.output_shape))
    fields = {
        **{short: s.get(f"input_{long}", 1) for short, long in (("ih", "height"), ("iw", "width"))},
        "id": s.get("input_depth", s.get("depth", 1)),
        **{short: s.get(f"output_{long}", 1) for short, long in (("oh", "height"), ("ow", "width"))},
        "od": size if kernel.op == "ADD" else kernel.output_shape[-1],
        **{short: s.get(f"filter_{long}", 1) for short, long in (("fh", "height"), ("fw", "width"))},
        **{short: s.get(f"stride_{long}", 1) for short, long in (("sh", "height"), ("sw", "width"))},
        "pt": s.get("pad_top", 0),
        "pl": s.get("pad_left", 0),
        "izp": s.get("a_zero_point", s.get("input_zero_point", 0)),
        "bzp": s.get("b_zero_point", 0),
        "ozp": s.get("output_zero_point", 0),
        "lo": s["activation_min"],
        "hi": s["activation_max"],
    }
    listed = ", ".join(f".{name} = {numbers.get(f'op_{index}_{name}', value)}" for name, value in fields.items())
    pointers = f".w = {names['weights']}, .b = {names['bias']}, .m = {names['scales']}"
    return text + f"static const plain plain_{index} = {{{listed}, {pointers}}};\n"
