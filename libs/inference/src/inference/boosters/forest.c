/* Sums of decision trees over rows, several chains of node visits at once.

   A visit waits for the node that the one before it chose; eight independent visits in turn hide that wait, and without
   branches nothing is mispredicted. Built as a plain shared library and called through ctypes: it needs no Python. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#define LANES 8
#define BLOCK_ROWS 64 /* rows prepared at once: with 32 columns they fill the first-level cache, together with a tree */
#define IN_SET 0x80000000u

typedef struct {
    union {
        double threshold; /* goes left where value <= threshold */
        uint64_t set;     /* goes left where the category's bit is in the set */
    } test;
    uint32_t child;  /* the left one; the right one stands behind it. A leaf's is the leaf itself */
    uint32_t column; /* of the prepared row; IN_SET marks a test of a category */
} Node;

typedef struct {
    const Node *nodes;
    const double *values;    /* one a node: a leaf's value */
    const uint32_t *roots;   /* (trees) */
    const int32_t *depths;   /* (trees) */
    const uint8_t *with_sets; /* (trees): whether any node tests a category */
    const uint8_t *columns;  /* (2 * width): how a column of the prepared row is made, see prepare() */
    int64_t trees;
    int64_t width; /* columns of a given row */
    double base;   /* where a sum starts */
    double scale;  /* of the transform */
    double zero;   /* values no further from 0 than this are 0 */
    int32_t transform;
    int32_t narrow; /* values and sums are float32 */
} Forest;

enum { UNUSED = 0, MISSING_LEFT = 1, MISSING_RIGHT = 2, CATEGORY_BIT = 3 };
enum { IDENTITY = 0, SIGMOID = 1, EXPONENTIAL = 2, NARROW_SIGMOID = 3 };

/* A missing value becomes what goes the way of the node, so that no visit asks for it: -inf is at most any threshold,
   NaN is not even at most +inf. */
static void prepare(const Forest *forest, const double *given, double *row)
{
    const int64_t width = forest->width;
    for (int64_t half = 0; half < 2; half++) {
        const uint8_t *columns = forest->columns + half * width;
        double *to = row + half * width;
        for (int64_t i = 0; i < width; i++) {
            double value = forest->narrow ? (double)(float)given[i] : given[i];
            if (fabs(value) <= forest->zero)
                value = 0.0;
            uint64_t bit = 0;
            switch (columns[i]) {
            case UNUSED:
                to[i] = 0.0;
                break;
            case CATEGORY_BIT:
                /* Truncation as by a cast to int: -0.5 is category 0. */
                if (value > -1.0 && value < 64.0)
                    bit = (uint64_t)1 << (int)value;
                memcpy(to + i, &bit, sizeof bit);
                break;
            default:
                to[i] = value != value && columns[i] == MISSING_LEFT ? -INFINITY : value;
            }
        }
    }
}

#define EACH_LANE(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)

#define VISIT(i)                                                                                                       \
    {                                                                                                                  \
        const Node *node = nodes + at##i;                                                                              \
        at##i = node->child + !(row##i[node->column] <= node->test.threshold);                                         \
    }

#define VISIT_ANY(i)                                                                                                   \
    {                                                                                                                  \
        const Node *node = nodes + at##i;                                                                              \
        const double *cell = row##i + (node->column & ~IN_SET);                                                        \
        uint64_t bit;                                                                                                  \
        memcpy(&bit, cell, sizeof bit);                                                                                \
        uint32_t outside = (bit & node->test.set) == 0, above = !(*cell <= node->test.threshold);                      \
        at##i = node->child + (node->column & IN_SET ? outside : above);                                               \
    }

/* Eight rows through one tree. */
static void rows_through_tree(const Forest *forest, int64_t tree, const double *rows, double *sums)
{
    const Node *nodes = forest->nodes;
    const double *values = forest->values;
    const size_t step = 2 * (size_t)forest->width;
    const int32_t depth = forest->depths[tree];
    const uint32_t root = forest->roots[tree];
#define START(i)                                                                                                       \
    const double *row##i = rows + i * step;                                                                            \
    uint32_t at##i = root;
    EACH_LANE(START)
    if (forest->with_sets[tree])
        for (int32_t level = 0; level < depth; level++) { EACH_LANE(VISIT_ANY) }
    else
        for (int32_t level = 0; level < depth; level++) { EACH_LANE(VISIT) }
#define ADD(i) sums[i] += values[at##i];
#define ADD_NARROW(i) sums[i] = (double)((float)sums[i] + (float)values[at##i]);
    if (forest->narrow) {
        EACH_LANE(ADD_NARROW)
    } else {
        EACH_LANE(ADD)
    }
}

static uint32_t visit_to_leaf(const Node *nodes, uint32_t at, int32_t depth, const double *row0)
{
    uint32_t at0 = at;
    for (int32_t level = 0; level < depth; level++)
        VISIT_ANY(0)
    return at0;
}

/* One row through all trees, eight trees at once; summed in their order, since sums of floats depend on it. */
static double row_through_trees(const Forest *forest, const double *row, double sum)
{
    const Node *nodes = forest->nodes;
    const double *values = forest->values;
    const int64_t trees = forest->trees;
    int64_t tree = 0;
    for (; tree + LANES <= trees; tree += LANES) {
        int32_t depth = 0;
        int with_sets = 0;
        for (int i = 0; i < LANES; i++) {
            if (forest->depths[tree + i] > depth)
                depth = forest->depths[tree + i];
            with_sets |= forest->with_sets[tree + i];
        }
#define START_TREE(i)                                                                                                  \
    uint32_t at##i = forest->roots[tree + i];                                                                          \
    const double *row##i = row;
        EACH_LANE(START_TREE)
        if (with_sets)
            for (int32_t level = 0; level < depth; level++) { EACH_LANE(VISIT_ANY) }
        else
            for (int32_t level = 0; level < depth; level++) { EACH_LANE(VISIT) }
#define ADD_TREE(i) sum = forest->narrow ? (double)((float)sum + (float)values[at##i]) : sum + values[at##i];
        EACH_LANE(ADD_TREE)
    }
    for (; tree < trees; tree++) {
        double value = values[visit_to_leaf(nodes, forest->roots[tree], forest->depths[tree], row)];
        sum = forest->narrow ? (double)((float)sum + (float)value) : sum + value;
    }
    return sum;
}

static double transformed(const Forest *forest, double sum)
{
    switch (forest->transform) {
    case SIGMOID:
        return 1.0 / (1.0 + exp(-forest->scale * sum));
    case EXPONENTIAL:
        return exp(sum);
    case NARROW_SIGMOID: {
        float margin = (float)sum, negative = -margin;
        return (double)(1.0f / (expf(negative < 88.7f ? negative : 88.7f) + 1.0f + 1e-16f));
    }
    default:
        return sum;
    }
}

/* given: (n, width) float64, row after row; out: (n). Returns 0, or 1 where memory lacks. */
EXPORT int forest_predict(const Forest *forest, const double *given, int64_t n, double *out)
{
    const size_t width = (size_t)forest->width, step = 2 * width;
    double few[LANES * 256], *rows = few;
    const int64_t block = n < BLOCK_ROWS ? n : BLOCK_ROWS;
    if (step * (size_t)block > sizeof few / sizeof *few) {
        rows = malloc(sizeof *rows * step * (size_t)block);
        if (rows == NULL)
            return 1;
    }
    for (int64_t start = 0; start < n; start += BLOCK_ROWS) {
        const int64_t count = n - start < BLOCK_ROWS ? n - start : BLOCK_ROWS;
        const int64_t whole = count - count % LANES;
        double *sums = out + start;
        for (int64_t i = 0; i < count; i++) {
            prepare(forest, given + (size_t)(start + i) * width, rows + (size_t)i * step);
            sums[i] = forest->base;
        }
        for (int64_t tree = 0; tree < forest->trees; tree++)
            for (int64_t i = 0; i < whole; i += LANES)
                rows_through_tree(forest, tree, rows + (size_t)i * step, sums + i);
        for (int64_t i = whole; i < count; i++)
            sums[i] = row_through_trees(forest, rows + (size_t)i * step, sums[i]);
        for (int64_t i = 0; i < count; i++)
            sums[i] = transformed(forest, sums[i]);
    }
    if (rows != few)
        free(rows);
    return 0;
}
