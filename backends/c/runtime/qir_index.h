/* Indices that are computed at run time: negative ones count from the end of an axis, as ONNX says. */
#ifndef QIR_INDEX_H
#define QIR_INDEX_H

#include "qir_runtime.h"

/* A place on an axis of size > 0. Indices outside it, which ONNX forbids, are moved to the nearest element. */
static inline int32_t qir_index(int64_t i, int32_t size) {
    i = i < 0 ? i + size : i;
    return i < 0 ? 0 : i < size ? (int32_t)i : size - 1;
}

/* A place on an axis, -1 for indices outside it. */
static inline int32_t qir_index_inside(int64_t i, int32_t size) {
    i = i < 0 ? i + size : i;
    return i < 0 || i >= size ? -1 : (int32_t)i;
}

#endif
