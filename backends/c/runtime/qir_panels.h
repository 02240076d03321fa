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

/* Computes tiles of as many rows each as the function is for, sixteen channels of each; a row that nobody wants is
   written before that in whose place it is. */
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

/* Tiles of a panel of fewer than sixteen channels, one at a time by way of whole results, of which those of the last
   row are written first: as a qir_panel_tile does it. */
QIR_ALONE static void qir_panel_part(const qir_panel *panel, qir_panel_tile *tile, const qir_row *row, int32_t rows,
                                     int32_t tiles, ptrdiff_t size, void *y) {
    float part[6 * 16];
    uint8_t beside[6 * 16];
    qir_row apart[6];
    qir_panel p = *panel;
    int32_t i;
    memset(beside, 0, sizeof beside);
    p.other = beside;
    for (; tiles; --tiles, row += rows) {
        for (i = 0; i < rows; ++i) {
            apart[i] = row[i];
            apart[i].to = 16 * i;
            if (p.sum) {
                memcpy(beside + 16 * i, panel->other + row[i].to, (size_t)p.channels);
            }
        }
        tile(&p, apart, 1, part);
        while (--i >= 0) {
            memcpy((uint8_t *)y + row[i].to * size, (uint8_t *)part + 16 * i * size, (size_t)(p.channels * size));
        }
    }
}

/* `tiles` of `height` times as many rows as go together. */
static inline void qir_panel_tiles_of(const qir_panel *p, const qir_panel_tiles *k, int32_t height, const qir_row *row,
                                      int32_t tiles, void *y) {
    if (p->channels < 16) {
        qir_panel_part(p, k->tile[height - 1], row, height * k->together, tiles, k->size, y);
    } else {
        k->tile[height - 1](p, row, tiles, y);
    }
}

/* `rows`, of which as many as go together share vectors, in tiles of nearly equal size, the larger ones first. */
static inline void qir_by_panel(const qir_panel *p, const qir_panel_tiles *k, const qir_row *row, int32_t rows,
                                void *y) {
    const int32_t all = rows / k->together, tiles = (all + k->most - 1) / k->most;
    const int32_t least = all / tiles, larger = all % tiles;
    if (larger) {
        qir_panel_tiles_of(p, k, least + 1, row, larger, y);
        row += larger * (least + 1) * k->together;
    }
    qir_panel_tiles_of(p, k, least, row, tiles - larger, y);
}

#endif
