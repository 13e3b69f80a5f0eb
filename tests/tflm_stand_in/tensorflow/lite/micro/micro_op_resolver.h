#pragma once
#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace tflite {

#if STAND_IN_YEAR == 2022
// A base class with versioned look-ups, and the parser's type inside the resolver.
class OpResolver {
public:
    virtual ~OpResolver() {}
    virtual const REGISTRATION *FindOp(BuiltinOperator op, int version) const = 0;
    virtual const REGISTRATION *FindOp(const char *op, int version) const = 0;
};

class MicroOpResolver : public OpResolver {
public:
    typedef TfLiteStatus (*BuiltinParseFunction)(const Operator *op, void *reporter, void **data);
    virtual const REGISTRATION *FindOp(BuiltinOperator op) const = 0;
    virtual const REGISTRATION *FindOp(const char *op) const = 0;
    const REGISTRATION *FindOp(BuiltinOperator op, int) const final { return FindOp(op); }
    const REGISTRATION *FindOp(const char *op, int) const final { return FindOp(op); }
    virtual BuiltinParseFunction GetOpDataParser(BuiltinOperator op) const = 0;
    ~MicroOpResolver() override {}
};
#else
typedef TfLiteStatus (*TfLiteBridgeBuiltinParseFunction)(const Operator *op, void **data);

class MicroOpResolver {
public:
    virtual const REGISTRATION *FindOp(BuiltinOperator op) const = 0;
    virtual const REGISTRATION *FindOp(const char *op) const = 0;
    virtual TfLiteBridgeBuiltinParseFunction GetOpDataParser(BuiltinOperator op) const = 0;
    virtual ~MicroOpResolver() {}
};
#endif

} // namespace tflite
