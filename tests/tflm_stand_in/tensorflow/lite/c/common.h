// A minimal model of the part of TensorFlow Lite Micro's interface that the adapter uses. STAND_IN_YEAR chooses which.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };

struct TfLiteIntArray {
    int size;
    int data[4];
};

struct TfLiteEvalTensor {
    union {
        void *raw;
        uint8_t *uint8;
    } data;
    size_t bytes; // the real one has dims and a type, read only through TfLiteEvalTensorByteLength
};

struct TfLiteContext {
    void *impl;
    TfLiteEvalTensor *(*GetEvalTensor)(const TfLiteContext *context, int index);
};

struct TfLiteNode {
    TfLiteIntArray *inputs;
    TfLiteIntArray *outputs;
    void *user_data;
};

struct REGISTRATION {
    void *(*init)(TfLiteContext *context, const char *buffer, size_t length);
    void (*free)(TfLiteContext *context, void *buffer);
    TfLiteStatus (*prepare)(TfLiteContext *context, TfLiteNode *node);
    TfLiteStatus (*invoke)(TfLiteContext *context, TfLiteNode *node);
    int32_t builtin_code;
    const char *custom_name;
};
