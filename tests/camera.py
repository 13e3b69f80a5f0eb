"""A board with a camera whose preprocessing has a fault, in C: 40 x 40 frames, halved, normalised, quantised.

The fault is chosen by the environment variable CAMERA, so that one program serves for all of them.
"""

import os

import numpy as np
from planted import PREPROCESS, device, integers, loaded, normalised

from firmware_tools._diagnose import diagnose_capture
from firmware_tools.results import Diagnosis

# fault of the camera -> the first answer, and a part of its detail
FAULTS = {
    "none": (None, ""),
    "none565": (None, ""),
    "bgr": ("red and blue swapped", ""),
    "order": ("byte order of RGB565", ""),
    "planes": ("channels-first", ""),
    "mirror": ("flipped", "left-right"),
    "upside": ("flipped", "upside down"),
    "turned": ("rotated", "by 180"),
    "cropped": ("cropped instead of resized", "middle"),
    "nearest": ("another interpolation", "nearest"),
    "halves": ("another interpolation", "OpenCV's bilinear"),  # its mean of 2 x 2 pixels rounds halves up
    "range": ("pixel range", "-1..1"),
    "twice": ("normalised twice", ""),
    "unsigned": ("uint8 given for int8", ""),
    "zero": ("zero point left out", ""),
    "scale": ("input scale of another model", "1/64"),
    "dropped": ("a chunk of the transfer dropped", "96 bytes"),
    "doubled": ("a chunk of the transfer doubled", "96 bytes"),
    "stale": ("stale tensor, the previous run's", ""),
    "noise": ("unknown", ""),
}

CAMERA = r"""
#include <stdlib.h>
#include <string.h>
#include "link/server.h"
#include "link/protocol.h"
enum { SIDE = 20, LONG = 40 };
static uint8_t shot[LONG * LONG * 3];
static uint16_t packed[LONG * LONG];
static int8_t made[SIDE * SIDE * 3], kept[SIDE * SIDE * 3];
static uint32_t noise = 1;
static uint32_t next(void) { noise = noise * 1664525u + 1013904223u; return noise >> 24; }
static int is(const char *fault)
{
    const char *name = getenv("CAMERA");
    return name != NULL && strcmp(name, fault) == 0;
}
static void shoot(void)
{
    for (int y = 0; y < LONG; y++) for (int x = 0; x < LONG; x++) for (int c = 0; c < 3; c++) {
        int coarse = ((x / 8 * 37 + y / 8 * 61 + c * 91 + (x / 8) * (y / 8) * 13) * 7) % 200;
        shot[(y * LONG + x) * 3 + c] = (uint8_t)(coarse + next() % 56);
    }
}
static int level(int y, int x, int c)
{
    if (is("mirror")) x = SIDE - 1 - x;
    if (is("upside")) y = SIDE - 1 - y;
    if (is("turned")) { x = SIDE - 1 - x; y = SIDE - 1 - y; }
    if (is("bgr")) c = 2 - c;
    const uint8_t *at = shot + (2 * y * LONG + 2 * x) * 3 + c;
    if (is("cropped")) return shot[((y + 10) * LONG + x + 10) * 3 + c];
    if (is("nearest")) return at[0];
    int sum = at[0] + at[3] + at[3 * LONG] + at[3 * LONG + 3];
    if (is("halves")) return (sum + 2) >> 2;
    return (sum >> 2) + ((sum & 3) == 3 || ((sum & 3) == 2 && (sum >> 2 & 1))); /* halves to even, as on the host */
}
static int8_t quantised(int p)
{
    const int8_t *table = is("range") ? table_range : is("twice") ? table_twice : is("zero") ? table_zero
                          : is("scale") ? table_scale : table_right;
    int8_t q = table[p];
    if (is("unsigned")) q = (int8_t)(q ^ -128);
    if (is("noise")) q = (int8_t)(q + (int)(next() % 5) - 2);
    return q;
}
static void pack(void)
{
    for (int i = 0; i < LONG * LONG; i++) {
        const uint8_t *p = shot + 3 * i;
        uint16_t word = (uint16_t)((p[0] >> 3) << 11 | (p[1] >> 2) << 5 | p[2] >> 3);
        uint16_t read = is("order") ? (uint16_t)(word << 8 | word >> 8) : word;
        packed[i] = (uint16_t)(word << 8 | word >> 8); /* big endian in memory */
        shot[3 * i] = (uint8_t)((read >> 11) * 255 / 31);
        shot[3 * i + 1] = (uint8_t)((read >> 5 & 63) * 255 / 63);
        shot[3 * i + 2] = (uint8_t)((read & 31) * 255 / 31);
    }
}
static bool camera(const nn_model *model, link_raw *raw)
{
    shoot();
    const int words = is("order") || is("none565");
    if (words) pack();
    *raw = words ? (link_raw){(const uint8_t *)packed, sizeof packed, RAW_RGB565_BIG, LONG, LONG}
                 : (link_raw){shot, sizeof shot, RAW_RGB888, LONG, LONG};
    for (int y = 0; y < SIDE; y++) for (int x = 0; x < SIDE; x++) for (int c = 0; c < 3; c++) {
        int place = is("planes") ? (c * SIDE + y) * SIDE + x : (y * SIDE + x) * 3 + c;
        made[place] = quantised(level(y, x, c));
    }
    int8_t *input = (int8_t *)model->arena + model->tensors[model->inputs[0]].offset;
    const int start = 288, chunk = 96;
    memcpy(input, is("stale") ? kept : made, sizeof made);
    if (is("dropped")) {
        memcpy(input + start, made + start + chunk, sizeof made - start - chunk);
        memcpy(input + sizeof made - chunk, kept + sizeof made - chunk, chunk);
    }
    if (is("doubled")) memcpy(input + start + chunk, made + start, sizeof made - start - chunk);
    memcpy(kept, is("dropped") ? input : made, sizeof made);
    return true;
}
static __attribute__((constructor)) void connect_camera(void) { link_sensor = camera; }
"""


def tables() -> str:
    """What each level of a pixel becomes, right and wrong, as C."""
    pixels, made = np.arange(256), loaded()
    once = normalised(pixels)
    rows = {
        "right": integers(once, made),
        "range": integers(pixels / np.float32(127.5) - 1, made),
        "twice": integers(normalised(once), made),
        "zero": integers(once, made, zero_point=0),
        "scale": integers(once, made, scale=1 / 64),
    }
    return "#include <stdint.h>\n" + "".join(
        f"static const int8_t table_{name}[256] = {{{', '.join(map(str, row))}}};\n" for name, row in rows.items()
    )


def captured(fault: str) -> Diagnosis | None:
    """What three captures of a camera with this fault tell."""
    before = os.environ.get("CAMERA")
    os.environ["CAMERA"] = fault
    try:
        text = (tables() + CAMERA).replace("\\", "\\\\")
        with device("camera", loaded(), patches=(("model.c", r"\Z", text),)) as board:
            captures = [board.capture() for _ in range(3)]
    finally:
        if before is None:
            del os.environ["CAMERA"]
        else:
            os.environ["CAMERA"] = before
    return diagnose_capture(captures, loaded(), preprocess=PREPROCESS)
