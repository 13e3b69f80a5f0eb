// A user's firmware around the adapter: a model of five ops, one kind three times, a custom op with two outputs, memory
// that is used again. Argument 1 makes something go wrong: "subgraphs", "fails", "plain" (runs without the link).
#include <stdio.h>
#include <string.h>

#include "tflm_link.h"

extern "C" {
#include "link/port.h"
}

namespace {

const char *wanted = "";
int prepared, invoked;

uint8_t *bytes(TfLiteContext *context, int index)
{
    return context->GetEvalTensor(context, index)->data.uint8;
}

TfLiteStatus count_prepare(TfLiteContext *, TfLiteNode *)
{
    prepared++;
    return kTfLiteOk;
}

TfLiteStatus add_three(TfLiteContext *context, TfLiteNode *node)
{
    invoked++;
    const uint8_t *from = bytes(context, node->inputs->data[0]);
    uint8_t *to = bytes(context, node->outputs->data[0]);
    for (int i = 0; i < 16; i++) {
        to[i] = static_cast<uint8_t>(from[i] + 3);
    }
    return kTfLiteOk;
}

TfLiteStatus split(TfLiteContext *context, TfLiteNode *node)
{
    const uint8_t *from = bytes(context, node->inputs->data[0]);
    memcpy(bytes(context, node->outputs->data[0]), from, 8);
    memcpy(bytes(context, node->outputs->data[1]), from + 8, 8);
    return strcmp(wanted, "fails") == 0 ? kTfLiteError : kTfLiteOk;
}

TfLiteStatus multiply(TfLiteContext *context, TfLiteNode *node)
{
    for (int i = 0; i < 8; i++) {
        bytes(context, node->outputs->data[0])[i] =
            static_cast<uint8_t>(bytes(context, node->inputs->data[0])[i] * bytes(context, node->inputs->data[1])[i]);
    }
    return kTfLiteOk;
}

const REGISTRATION adding = {nullptr, nullptr, count_prepare, add_three, tflite::BuiltinOperator_ADD, nullptr};
const REGISTRATION multiplying = {nullptr, nullptr, nullptr, multiply, tflite::BuiltinOperator_MUL, nullptr};
const REGISTRATION splitting = {nullptr, nullptr, count_prepare, split, tflite::BuiltinOperator_CUSTOM, "split"};

class Ops : public tflite::MicroOpResolver {
public:
    const REGISTRATION *FindOp(tflite::BuiltinOperator op) const override
    {
        return op == tflite::BuiltinOperator_ADD ? &adding : op == tflite::BuiltinOperator_MUL ? &multiplying : nullptr;
    }
    const REGISTRATION *FindOp(const char *name) const override
    {
        return strcmp(name, "split") == 0 ? &splitting : nullptr;
    }
    tflm_link::ParseFunction GetOpDataParser(tflite::BuiltinOperator) const override { return nullptr; }
};

using tflite::Operator;
const Operator first{tflite::BuiltinOperator_ADD, nullptr, {0, 6}, {1}};
const Operator second{tflite::BuiltinOperator_ADD, nullptr, {1, 6}, {2}};
const Operator third{tflite::BuiltinOperator_ADD, nullptr, {2, -1}, {3}};
const Operator fourth{tflite::BuiltinOperator_CUSTOM, "split", {3}, {4, 5}};
const Operator fifth{tflite::BuiltinOperator_MUL, nullptr, {4, 5}, {7}};
const tflite::SubGraph graph{{0}, {7}, {&first, &second, &third, &fourth, &fifth}};

// Tensor 6 is a constant. Memory of 0 is used again by 2, that of 1 by 3, and so on.
const int OFFSETS[8] = {0, 16, 0, 16, 0, 8, 40, 32};
const int SIZES[8] = {16, 16, 16, 16, 8, 8, 1, 8};

} // namespace

namespace tflite {

const Model *GetModel(const void *)
{
    static const Model one{{&graph}}, two{{&graph, &graph}};
    return strcmp(wanted, "subgraphs") == 0 ? &two : &one;
}

MicroInterpreter::MicroInterpreter(const Model *model, const MicroOpResolver &resolver, uint8_t *arena, size_t)
    : graph_(model->subgraphs()->Get(0)), resolver_(resolver), arena_(arena)
{
    context_.impl = this;
    context_.GetEvalTensor = nullptr;
}

TfLiteEvalTensor *MicroInterpreter::GetEvalTensor(const TfLiteContext *context, int index)
{
    return static_cast<MicroInterpreter *>(context->impl)->tensors_ + index;
}

static TfLiteIntArray listed(const Vector<int32_t> *values)
{
    TfLiteIntArray array = {};
    for (uint32_t i = 0; values != nullptr && i < values->size(); i++) {
        array.data[array.size++] = values->Get(i);
    }
    return array;
}

TfLiteStatus MicroInterpreter::AllocateTensors()
{
    for (uint32_t k = 0; k < graph_->operators()->size(); k++) {
        const Operator *op = graph_->operators()->Get(k);
        auto &item = nodes_[k];
        item.registration = op->custom == nullptr ? resolver_.FindOp(op->code) : resolver_.FindOp(op->custom);
        item.inputs = listed(op->inputs());
        item.outputs = listed(op->outputs());
        item.node = {&item.inputs, &item.outputs, nullptr};
    }
    for (uint32_t k = 0; k < graph_->operators()->size(); k++) {
        if (nodes_[k].registration->prepare != nullptr) {
            nodes_[k].registration->prepare(&context_, &nodes_[k].node);
        }
    }
    for (int i = 0; i < 8; i++) {
        tensors_[i].data.raw = arena_ + OFFSETS[i];
        tensors_[i].bytes = static_cast<size_t>(SIZES[i]);
    }
    context_.GetEvalTensor = GetEvalTensor;
    return kTfLiteOk;
}

TfLiteStatus MicroInterpreter::Invoke()
{
    for (uint32_t k = 0; k < graph_->operators()->size(); k++) {
        TfLiteStatus status = nodes_[k].registration->invoke(&context_, &nodes_[k].node);
        if (status != kTfLiteOk) {
            return status;
        }
    }
    return kTfLiteOk;
}

} // namespace tflite

static const char MODEL[] = "TFL3 as bytes";
static uint8_t arena[64];

int run_firmware(int count, char **arguments)
{
    wanted = count > 1 ? arguments[1] : "";
    static Ops ops;
    const char *early = tflm_link::prepare();
    static tflm_link::Resolver resolver(ops, MODEL, sizeof MODEL);
    if (resolver.FindOp("nothing") != nullptr || resolver.FindOp("split") != resolver.FindOp("split") ||
        resolver.FindOp("split")->custom_name != splitting.custom_name || early == nullptr) {
        return 3;
    }
    static tflite::MicroInterpreter interpreter(tflite::GetModel(MODEL), resolver, arena, sizeof arena);
    interpreter.AllocateTensors();
    if (prepared != 4) {
        return 4;
    }
    const char *problem = tflm_link::prepare();
    if (problem != nullptr) {
        fprintf(stderr, "%s\n", problem);
        return 2;
    }
    if (strcmp(wanted, "plain") == 0) {
        memset(arena, 1, 16);
        return interpreter.Invoke() == kTfLiteOk && invoked == 3 && arena[32] == 100 ? 0 : 5;
    }
    tflm_link::serve(interpreter);
    return 0;
}
