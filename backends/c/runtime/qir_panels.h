/* Rows of codes times panels of sixteen channels of weights, for kernels whose codes lie in a few runs of bytes. */
#ifndef QIR_PANELS_H
#define QIR_PANELS_H

#include "qir_vector.h"

/* What has a row of the product: an output pixel, or a row of a matrix. */
typedef struct {
    ptrdiff_t from; /* bytes from the first row's codes */
    ptrdiff_t to;   /* elements of y; negative where nobody wants the results */
    int32_t offset; /* of its sums */
} qir_row;

/* What a tile computes: the products of some rows with a panel. */
typedef struct {
    const qir_row *row;
    const void *const *segment; /* runs of codes of the first row */
    ptrdiff_t from;             /* bytes from the start of a run to what is wanted of it */
    int32_t segments;
    int32_t steps; /* of a segment */
    int32_t channels; /* that are left from the first of the panel on */
    const int8_t *weights; /* [segment][step] of the panel */
    const int32_t *bias;
    const float *multiplier;
    const qir_requant *requant;
    void *part; /* sixteen results of each row of a tile: where those go that do not all belong into y */
} qir_panel;

/* Of a tile at most. */
#define QIR_PANEL_ROWS 6

typedef void qir_panel_tile(const qir_panel *p, void *y);

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

/* `rows`, of which as many as go together share vectors, in tiles of nearly equal size. */
static inline void qir_by_panel(const qir_panel *panel, const qir_panel_tiles *k, const qir_row *row, int32_t rows,
                                void *y) {
    float part[16 * QIR_PANEL_ROWS];
    qir_panel p = *panel;
    int32_t left, count, i;
    p.part = part;
    for (left = rows / k->together; left > 0; left -= count, row += count * k->together) {
        count = qir_piece(left, k->most);
        p.row = row;
        k->tile[count - 1](&p, y);
        for (i = p.channels < 16 ? 0 : count * k->together; i < count * k->together; ++i) {
            if (row[i].to >= 0) {
                memcpy((uint8_t *)y + row[i].to * k->size, (const uint8_t *)part + 16 * i * k->size,
                       (size_t)(p.channels * k->size));
            }
        }
    }
}

#endif
