#pragma once
#include "tensorflow/lite/micro/micro_op_resolver.h"

namespace tflite {

class MicroInterpreter {
public:
    MicroInterpreter(const Model *model, const MicroOpResolver &resolver, uint8_t *arena, size_t arena_size);
    TfLiteStatus AllocateTensors();
    TfLiteStatus Invoke();

private:
    const SubGraph *graph_;
    const MicroOpResolver &resolver_;
    uint8_t *arena_;
    TfLiteContext context_;
    TfLiteEvalTensor tensors_[8];
    struct {
        TfLiteNode node;
        TfLiteIntArray inputs, outputs;
        const REGISTRATION *registration;
    } nodes_[8];
    static TfLiteEvalTensor *GetEvalTensor(const TfLiteContext *context, int index);
};

} // namespace tflite
