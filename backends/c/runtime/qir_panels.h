/* Rows of codes times panels of sixteen channels of weights, for kernels whose codes lie in a few runs of bytes. */
#ifndef QIR_PANELS_H
#define QIR_PANELS_H

#include "qir_sum.h"
#include "qir_vector.h"

/* What has a row of the product: an output pixel, or a row of a matrix. */
typedef struct {
    ptrdiff_t from; /* bytes from the first row's codes */
    ptrdiff_t to;   /* elements of y; of a row that nobody wants those of the row before it */
    int32_t offset; /* of its sums */
} qir_row;

/* What a tile computes: the products of some rows with a panel. */
typedef struct {
    const void *const *segment; /* runs of codes of the first row */
    ptrdiff_t from;             /* bytes from the start of a run to what is wanted of it */
    int32_t segments;
    int32_t steps; /* of a segment */
    int32_t channels; /* that are left from the first of the panel on */
    const int8_t *weights; /* [segment][step] of the panel */
    const int32_t *bias;
    const float *multiplier;
    const qir_requant *requant;
    const qir_sum *sum;   /* where results are sums with other codes */
    const uint8_t *other; /* these, as y is */
} qir_panel;

/* Computes tiles of as many rows each as the function is for, the results of which it writes from the last row on. */
typedef void qir_panel_tile(const qir_panel *p, const qir_row *row, int32_t tiles, void *y);

/* What an instruction set computes. */
typedef struct {
    qir_panel_tile *const *tile; /* of as many rows as go together, twice as many, ... */
    int32_t most;                /* tiles */
    int32_t together;            /* rows that share vectors */
    ptrdiff_t step;              /* bytes of weights of a step */
    ptrdiff_t size;              /* bytes of a result */
} qir_panel_tiles;

/* Of the functions in an array, see qir_panel_tiles. */
#define QIR_PANEL_TILES(array, together, step, type) \
    {array, (int32_t)(sizeof(array) / sizeof *(array)), together, step, sizeof(type)}

/* Where the results of a tile go that do not all belong into y. */
static const qir_row qir_panel_apart[6] = {{0, 0, 0}, {0, 16, 0}, {0, 32, 0}, {0, 48, 0}, {0, 64, 0}, {0, 80, 0}};

/* `bytes` of each of some rows' sixteen results of `size` bytes, from the last row on. */
QIR_ALONE static void qir_panel_rest(const void *part, const qir_row *row, int32_t rows, ptrdiff_t size,
                                     ptrdiff_t bytes, void *y) {
    while (--rows >= 0) {
        memcpy((uint8_t *)y + row[rows].to * size, (const uint8_t *)part + 16 * rows * size, (size_t)bytes);
    }
}

/* `rows`, of which as many as go together share vectors, in tiles of nearly equal size, the larger ones first. */
static inline void qir_by_panel(const qir_panel *p, const qir_panel_tiles *k, const qir_row *row, int32_t rows,
                                void *y) {
    const int32_t all = rows / k->together, tiles = (all + k->most - 1) / k->most;
    const int32_t least = all / tiles, larger = all % tiles;
    if (larger) {
        k->tile[least](p, row, larger, y);
        row += larger * (least + 1) * k->together;
    }
    k->tile[least - 1](p, row, tiles - larger, y);
}

#endif
