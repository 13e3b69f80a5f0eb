#pragma once
#include <initializer_list>
#include <stddef.h>
#include <stdint.h>
#include <vector>

namespace tflite {

enum BuiltinOperator { BuiltinOperator_ADD = 0, BuiltinOperator_MUL = 18, BuiltinOperator_CUSTOM = 32 };

// As the flatbuffers' vectors: size and Get.
template <typename T>
class Vector {
public:
    Vector(std::initializer_list<T> values) : values_(values) {}
    explicit Vector(std::vector<T> values) : values_(values) {}
    uint32_t size() const { return static_cast<uint32_t>(values_.size()); }
    T Get(uint32_t i) const { return values_.at(i); }

private:
    std::vector<T> values_;
};

struct Operator {
    BuiltinOperator code;
    const char *custom;
    Vector<int32_t> inputs_, outputs_;
    const Vector<int32_t> *inputs() const { return &inputs_; }
    const Vector<int32_t> *outputs() const { return outputs_.size() == 0 ? nullptr : &outputs_; }
};

struct SubGraph {
    Vector<int32_t> inputs_, outputs_;
    Vector<const Operator *> operators_;
    const Vector<int32_t> *inputs() const { return &inputs_; }
    const Vector<int32_t> *outputs() const { return &outputs_; }
    const Vector<const Operator *> *operators() const { return &operators_; }
};

struct Model {
    Vector<const SubGraph *> subgraphs_;
    const Vector<const SubGraph *> *subgraphs() const { return &subgraphs_; }
};

// The one model of the test, whatever the bytes say.
const Model *GetModel(const void *data);

} // namespace tflite
