/*
 * The link behind an existing TensorFlow Lite Micro firmware: each op of the model reports to the host when it is done.
 *
 *     static tflm_link::Resolver resolver(your_resolver, model_data, model_size);
 *     static tflite::MicroInterpreter interpreter(tflite::GetModel(model_data), resolver, arena, sizeof arena);
 *     interpreter.AllocateTensors();
 *     const char *problem = tflm_link::prepare();    // nullptr, or why this model cannot be served
 *     tflm_link::serve(interpreter);                 // answers the host, does not return
 *
 * and the five functions of link/port.h for your board. Without `serve` the interpreter works as without this file.
 * Only TensorFlow Lite Micro's public interfaces are used, and the types that changed over the years are taken from
 * them, so that it compiles with those of 2022 and of today. No heap. One model a firmware.
 */
#ifndef TFLM_LINK_H
#define TFLM_LINK_H

#include <stddef.h>

#include <type_traits>
#include <utility>

#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace tflm_link {

/* TfLiteRegistration until 2023, TFLMRegistration since; the parser's type moved too. */
using Registration = typename std::remove_const<typename std::remove_pointer<decltype(
    std::declval<const tflite::MicroOpResolver &>().FindOp(std::declval<tflite::BuiltinOperator>()))>::type>::type;
using ParseFunction = decltype(
    std::declval<const tflite::MicroOpResolver &>().GetOpDataParser(std::declval<tflite::BuiltinOperator>()));

/* Your resolver, with each registration replaced by a copy that reports. One a firmware; it must outlive the
 * interpreter, and so must what it is given. */
class Resolver : public tflite::MicroOpResolver {
public:
    Resolver(const tflite::MicroOpResolver &inner, const void *model, size_t model_bytes);

    const Registration *FindOp(tflite::BuiltinOperator op) const override;
    const Registration *FindOp(const char *name) const override;
    ParseFunction GetOpDataParser(tflite::BuiltinOperator op) const override;

private:
    const tflite::MicroOpResolver &inner_;
};

/* Makes the tables of tensors and ops; after AllocateTensors. nullptr, or one sentence that says what is in the way. */
const char *prepare();

/* Runs the model for the host, for ever. */
void serve(tflite::MicroInterpreter &interpreter);

} // namespace tflm_link

#endif
