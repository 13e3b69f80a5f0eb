#include "tflm_link.h"

#include <stdint.h>

#include "tensorflow/lite/micro/memory_helpers.h"

extern "C" {
#include "link/port.h"
#include "link/server.h"
}

/* How much there is room for. Too little is said by prepare(), with the name of the macro. */
#ifndef TFLM_LINK_REGISTRATIONS
#define TFLM_LINK_REGISTRATIONS 32 /* different kinds of ops */
#endif
#ifndef TFLM_LINK_OPS
#define TFLM_LINK_OPS 96
#endif
#ifndef TFLM_LINK_TENSORS
#define TFLM_LINK_TENSORS 128 /* inputs of the model, and outputs of ops */
#endif
#ifndef TFLM_LINK_OPERANDS
#define TFLM_LINK_OPERANDS 384 /* inputs and outputs of all ops together */
#endif

namespace tflm_link {
namespace {

/* Registrations: the user's own, and the copies that TensorFlow Lite Micro is given. */
const Registration *originals[TFLM_LINK_REGISTRATIONS];
Registration copies[TFLM_LINK_REGISTRATIONS];
int registrations;
bool registrations_full;

const void *model_data;
size_t model_bytes;
TfLiteContext *the_context; /* as Prepare was given it */

/* The model as the link knows it. */
nn_tensor tensors[TFLM_LINK_TENSORS];
nn_op ops[TFLM_LINK_OPS];
uint16_t operands[TFLM_LINK_OPERANDS];
nn_block digested[1];
nn_model tables;
size_t operands_used;

link_server server;
bool serving; /* the ops of this inference report */
bool over;    /* the host has left this run: what remains of the inference is left out */
uint16_t next_op;

const tflite::SubGraph *graph()
{
    return tflite::GetModel(model_data)->subgraphs()->Get(0);
}

template <typename Vector>
bool same(const Vector *stored, const TfLiteIntArray *given)
{
    size_t stored_count = stored == nullptr ? 0 : stored->size();
    size_t given_count = given == nullptr ? 0 : static_cast<size_t>(given->size);
    if (stored_count != given_count) {
        return false;
    }
    for (size_t i = 0; i < stored_count; i++) {
        if (stored->Get(i) != given->data[i]) {
            return false;
        }
    }
    return true;
}

/* Which op a node is, by its tensors: no two ops make the same ones. Those that make none are taken in order. */
int op_of(const TfLiteNode *node)
{
    int count = static_cast<int>(graph()->operators()->size());
    for (int i = 0; i < count; i++) {
        int index = (next_op + i) % count;
        const tflite::Operator *op = graph()->operators()->Get(index);
        if (same(op->outputs(), node->outputs) && same(op->inputs(), node->inputs)) {
            return index;
        }
    }
    return -1;
}

TfLiteStatus prepare_op(int slot, TfLiteContext *context, TfLiteNode *node)
{
    the_context = context;
    return originals[slot]->prepare == nullptr ? kTfLiteOk : originals[slot]->prepare(context, node);
}

TfLiteStatus invoke_op(int slot, TfLiteContext *context, TfLiteNode *node)
{
    if (!serving) {
        return originals[slot]->invoke(context, node);
    }
    if (over) {
        return kTfLiteOk;
    }
    if (op_of(node) != next_op) {
        return kTfLiteError;
    }
    uint64_t before = port_ticks();
    TfLiteStatus status = originals[slot]->invoke(context, node);
    uint64_t ticks = port_ticks() - before;
    if (status != kTfLiteOk) {
        return status;
    }
    next_op++;
    over = !link_pause(&server, next_op, ticks);
    return kTfLiteOk;
}

/* A registration's functions are given nothing that tells registrations apart: each slot has functions of its own. */
template <int slot>
struct Slot {
    static TfLiteStatus Prepare(TfLiteContext *context, TfLiteNode *node) { return prepare_op(slot, context, node); }
    static TfLiteStatus Invoke(TfLiteContext *context, TfLiteNode *node) { return invoke_op(slot, context, node); }
    static void Fill()
    {
        copies[slot].prepare = Prepare;
        copies[slot].invoke = Invoke;
        Slot<slot - 1>::Fill();
    }
};

template <>
struct Slot<-1> {
    static void Fill() {}
};

const Registration *decorated(const Registration *original)
{
    if (original == nullptr) {
        return nullptr;
    }
    for (int i = 0; i < registrations; i++) {
        if (originals[i] == original) {
            return &copies[i];
        }
    }
    if (registrations == TFLM_LINK_REGISTRATIONS) {
        registrations_full = true;
        return original;
    }
    auto prepare_slot = copies[registrations].prepare;
    auto invoke_slot = copies[registrations].invoke;
    originals[registrations] = original;
    copies[registrations] = *original;
    copies[registrations].prepare = prepare_slot;
    copies[registrations].invoke = invoke_slot;
    return &copies[registrations++];
}

int position_of(int id)
{
    for (uint16_t i = 0; i < tables.n_tensors; i++) {
        if (tensors[i].id == id) {
            return i;
        }
    }
    return -1;
}

bool add_tensor(int id, uint16_t birth)
{
    if (tables.n_tensors == TFLM_LINK_TENSORS || id < 0 || id > 0xFFFF) {
        return false;
    }
    uint16_t position = tables.n_tensors++;
    tensors[position] = nn_tensor{static_cast<uint16_t>(id), birth, birth, position, 0, 0};
    return true;
}

/* The activations among an op's tensors, as positions in the table; what is not in it is a constant or absent. */
template <typename Vector>
bool list_operands(const Vector *ids, const uint16_t **list, uint8_t *count)
{
    *list = operands + operands_used;
    *count = 0;
    for (size_t i = 0; ids != nullptr && i < ids->size(); i++) {
        int position = position_of(ids->Get(i));
        if (position < 0) {
            continue;
        }
        if (operands_used == TFLM_LINK_OPERANDS || *count == 0xFF) {
            return false;
        }
        operands[operands_used++] = static_cast<uint16_t>(position);
        ++*count;
    }
    return true;
}

template <typename Vector>
bool list_ends(const Vector *ids, const uint16_t **list, uint16_t *count)
{
    uint8_t listed;
    bool room = list_operands(ids, list, &listed);
    *count = listed;
    return room && listed == ids->size();
}

/* Where every tensor is, and how long: relative to the first of them in memory. */
bool locate()
{
    const uint8_t *first = nullptr;
    for (int pass = 0; pass < 2; pass++) {
        for (uint16_t i = 0; i < tables.n_tensors; i++) {
            const TfLiteEvalTensor *tensor = the_context->GetEvalTensor(the_context, tensors[i].id);
            size_t bytes = 0;
            if (tensor == nullptr || tensor->data.raw == nullptr ||
                tflite::TfLiteEvalTensorByteLength(tensor, &bytes) != kTfLiteOk) {
                return false;
            }
            const uint8_t *data = reinterpret_cast<const uint8_t *>(tensor->data.raw);
            if (pass == 0) {
                first = first == nullptr || data < first ? data : first;
                continue;
            }
            if (static_cast<uint64_t>(data - first) > UINT32_MAX || bytes > UINT32_MAX) {
                return false;
            }
            tensors[i].offset = static_cast<uint32_t>(data - first);
            tensors[i].bytes = static_cast<uint32_t>(bytes);
            if (tensors[i].offset + tensors[i].bytes > tables.arena_bytes) {
                tables.arena_bytes = tensors[i].offset + tensors[i].bytes;
            }
        }
    }
    tables.arena = const_cast<uint8_t *>(first);
    return true;
}

const char *list_tensors()
{
    for (size_t i = 0; i < graph()->inputs()->size(); i++) {
        if (!add_tensor(graph()->inputs()->Get(i), 0)) {
            return "There are more tensors than TFLM_LINK_TENSORS.";
        }
    }
    for (uint16_t k = 0; k < tables.n_ops; k++) {
        const auto *outputs = graph()->operators()->Get(k)->outputs();
        for (size_t i = 0; outputs != nullptr && i < outputs->size(); i++) {
            if (!add_tensor(outputs->Get(i), static_cast<uint16_t>(k + 1))) {
                return "There are more tensors than TFLM_LINK_TENSORS.";
            }
        }
    }
    return nullptr;
}

const char *list_ops()
{
    for (uint16_t k = 0; k < tables.n_ops; k++) {
        const tflite::Operator *op = graph()->operators()->Get(k);
        ops[k] = nn_op{};
        if (!list_operands(op->inputs(), &ops[k].inputs, &ops[k].n_inputs) ||
            !list_operands(op->outputs(), &ops[k].outputs, &ops[k].n_outputs)) {
            return "The ops have more operands than TFLM_LINK_OPERANDS.";
        }
        if (ops[k].n_outputs > LINK_OUTPUTS) {
            return "An op has more outputs than LINK_OUTPUTS.";
        }
        for (uint8_t i = 0; i < ops[k].n_inputs; i++) {
            tensors[ops[k].inputs[i]].death = k;
        }
    }
    if (!list_ends(graph()->inputs(), &tables.inputs, &tables.n_inputs) ||
        !list_ends(graph()->outputs(), &tables.outputs, &tables.n_outputs)) {
        return "The ops have more operands than TFLM_LINK_OPERANDS.";
    }
    for (uint16_t i = 0; i < tables.n_outputs; i++) {
        tensors[tables.outputs[i]].death = tables.n_ops;
    }
    for (uint16_t i = 0; i < tables.n_tensors; i++) {
        tensors[i].death = tensors[i].death < tensors[i].birth ? tensors[i].birth : tensors[i].death;
    }
    return nullptr;
}

} // namespace

Resolver::Resolver(const tflite::MicroOpResolver &inner, const void *model, size_t bytes) : inner_(inner)
{
    model_data = model;
    model_bytes = bytes;
    Slot<TFLM_LINK_REGISTRATIONS - 1>::Fill();
}

const Registration *Resolver::FindOp(tflite::BuiltinOperator op) const
{
    return decorated(inner_.FindOp(op));
}

const Registration *Resolver::FindOp(const char *name) const
{
    return decorated(inner_.FindOp(name));
}

ParseFunction Resolver::GetOpDataParser(tflite::BuiltinOperator op) const
{
    return inner_.GetOpDataParser(op);
}

const char *prepare()
{
    if (model_data == nullptr || the_context == nullptr || the_context->GetEvalTensor == nullptr) {
        return "Make the interpreter with a tflm_link::Resolver, and call AllocateTensors before prepare.";
    }
    if (tflite::GetModel(model_data)->subgraphs()->size() != 1) {
        return "The model has sub-graphs (IF, WHILE, CALL_ONCE): their ops cannot be told from the main graph's.";
    }
    if (registrations_full) {
        return "There are more kinds of ops than TFLM_LINK_REGISTRATIONS.";
    }
    if (graph()->operators()->size() > TFLM_LINK_OPS) {
        return "There are more ops than TFLM_LINK_OPS.";
    }
    tables = nn_model{};
    operands_used = 0;
    tables.n_ops = static_cast<uint16_t>(graph()->operators()->size());
    const char *problem = list_tensors();
    problem = problem == nullptr ? list_ops() : problem;
    if (problem != nullptr) {
        return problem;
    }
    if (!locate()) {
        return "A tensor has no place in memory; AllocateTensors must have succeeded before prepare.";
    }
    digested[0] = nn_block{model_data, static_cast<uint32_t>(model_bytes)};
    tables.tensors = tensors;
    tables.ops = ops;
    tables.digested = digested;
    tables.n_digested = 1;
    return nullptr;
}

void serve(tflite::MicroInterpreter &interpreter)
{
    server.model = &tables;
    for (;;) {
        if (!link_pause(&server, 0, 0)) {
            continue;
        }
        serving = true;
        over = false;
        next_op = 0;
        if (interpreter.Invoke() != kTfLiteOk) {
            server.open = false; /* the host asks again, and is told that there is no such run any more */
        }
        serving = false;
    }
}

} // namespace tflm_link
