#pragma once
#include "tensorflow/lite/c/common.h"

namespace tflite {
inline TfLiteStatus TfLiteEvalTensorByteLength(const TfLiteEvalTensor *tensor, size_t *bytes)
{
    *bytes = tensor->bytes;
    return kTfLiteOk;
}
} // namespace tflite
