"""OpenCV, untyped on purpose: its stubs give up the dtype of every array that passes through it."""

from typing import Any

import cv2 as _cv2

cv2: Any = _cv2
