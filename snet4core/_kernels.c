/* The inner loops of shapes, compiled: the same results as the numpy beside them, to the bit.

   `snet4core/kernels.py` calls these with arrays whose types and sizes it has checked. Nothing
   here depends on one version of Python or on numpy's headers: arrays come as buffers, and new
   ones go back as bytearrays. Python's lock is released meanwhile, so threads work side by side.

   Floating point must not be contracted to fused multiply-adds (`setup.py` says so to the
   compiler): numpy rounds after every operation. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int64_t i64;
typedef int32_t i32;
typedef int16_t i16;
typedef uint8_t u8;

/* Compiled twice: for any processor, and for those with AVX2, which GNU's loader then chooses. */
#if defined(__GLIBC__) && defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define FAST __attribute__((target_clones("default", "avx2")))
#else
#define FAST
#endif

/* ---- arrays that grow ---- */

typedef struct {
    char *at;
    size_t used, room; /* bytes */
} Pile;

static int grow(Pile *pile, size_t bytes)
{
    size_t room = pile->room ? pile->room : 4096;
    while (room < pile->used + bytes) room *= 2;
    if (room != pile->room) {
        char *at = realloc(pile->at, room);
        if (!at) return 0;
        pile->at = at;
        pile->room = room;
    }
    return 1;
}

#define PUSH(pile, type, value) \
    (((pile).used + sizeof(type) <= (pile).room || grow(&(pile), sizeof(type))) \
         ? (*(type *)((pile).at + (pile).used) = (value), (pile).used += sizeof(type), 1) \
         : 0)

static PyObject *given(Pile *pile)
{
    PyObject *made = PyByteArray_FromStringAndSize(pile->at, (Py_ssize_t)pile->used);
    free(pile->at);
    pile->at = NULL;
    return made;
}

/* ---- runs ---- */

typedef struct {
    Pile row, start, stop, label;
} RunPiles;

static int add_run(RunPiles *runs, i64 row, i64 start, i64 stop, i32 label)
{
    return PUSH(runs->row, i64, row) && PUSH(runs->start, i64, start) &&
           PUSH(runs->stop, i64, stop) && PUSH(runs->label, i32, label);
}

static PyObject *given_runs(RunPiles *runs, int fine, i64 count)
{
    if (!fine) {
        free(runs->row.at), free(runs->start.at), free(runs->stop.at), free(runs->label.at);
        return PyErr_NoMemory();
    }
    PyObject *row = given(&runs->row), *start = given(&runs->start);
    PyObject *stop = given(&runs->stop), *label = given(&runs->label);
    return Py_BuildValue("NNNNL", row, start, stop, label, (long long)count);
}

static i32 least_of(i32 *under, i32 one)
{
    while (under[one] != one) one = under[one] = under[under[one]];
    return one;
}

/* Runs of a mask and their 4-connected components; numbers by the first pixel. */
static int find_components(const u8 *mask, i64 rows, i64 cols, RunPiles *runs, i64 *count)
{
    i64 above = 0, above_stop = 0, number = 0;
    for (i64 row = 0; row < rows; row++) {
        const u8 *line = mask + row * cols, *end = line + cols, *at = line;
        i64 here = number;
        while (at < end && (at = memchr(at, 1, (size_t)(end - at)))) {
            const u8 *stop = memchr(at, 0, (size_t)(end - at));
            if (!stop) stop = end;
            if (number == INT32_MAX || !add_run(runs, row, at - line, stop - line, (i32)number))
                return 0;
            number++;
            at = stop;
        }
        const i64 *starts = (const i64 *)runs->start.at, *stops = (const i64 *)runs->stop.at;
        i32 *under = (i32 *)runs->label.at;
        for (i64 one = above, two = here; one < above_stop && two < number;) {
            if (starts[one] < stops[two] && starts[two] < stops[one]) {
                i32 a = least_of(under, (i32)one), b = least_of(under, (i32)two);
                if (a < b) under[b] = a;
                else under[a] = b;
            }
            if (stops[one] < stops[two]) one++;
            else two++;
        }
        above = here;
        above_stop = number;
    }
    /* Every run hangs under an earlier one, whose number is known by then. */
    i32 *label = (i32 *)runs->label.at, most = 0;
    for (i64 run = 0; run < number; run++)
        label[run] = label[run] == run ? ++most : label[label[run]];
    *count = most;
    return 1;
}

static PyObject *components(PyObject *self, PyObject *args)
{
    Py_buffer mask;
    long long rows, cols;
    if (!PyArg_ParseTuple(args, "y*LL", &mask, &rows, &cols)) return NULL;
    RunPiles runs = {0};
    i64 count = 0;
    int fine;
    Py_BEGIN_ALLOW_THREADS
    fine = find_components(mask.buf, rows, cols, &runs, &count);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&mask);
    return given_runs(&runs, fine, count);
}

static int find_runs(const i32 *labels, i64 rows, i64 cols, RunPiles *runs)
{
    for (i64 row = 0; row < rows; row++) {
        const i32 *line = labels + row * cols;
        for (i64 col = 0; col < cols;) {
            i32 label = line[col];
            i64 start = col++;
            while (col < cols && line[col] == label) col++;
            if (label && !add_run(runs, row, start, col, label)) return 0;
        }
    }
    return 1;
}

static PyObject *runs_of_labels(PyObject *self, PyObject *args)
{
    Py_buffer labels;
    long long rows, cols;
    if (!PyArg_ParseTuple(args, "y*LL", &labels, &rows, &cols)) return NULL;
    RunPiles runs = {0};
    int fine;
    Py_BEGIN_ALLOW_THREADS
    fine = find_runs(labels.buf, rows, cols, &runs);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&labels);
    return given_runs(&runs, fine, 0);
}

/* Copy pixels of `size` bytes, run after run: out of an image, or into it. */
static PyObject *copy_runs(PyObject *args, int into)
{
    Py_buffer image, first, length, values;
    long long size;
    if (!PyArg_ParseTuple(args, into ? "w*y*y*y*L" : "y*y*y*w*L", &image, &first, &length,
                          &values, &size))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    const i64 *firsts = first.buf, *lengths = length.buf;
    i64 runs = first.len / (i64)sizeof(i64);
    char *at = values.buf, *from = image.buf;
    for (i64 run = 0; run < runs; run++) {
        size_t bytes = (size_t)(lengths[run] * size);
        char *there = from + firsts[run] * size;
        if (into) memcpy(there, at, bytes);
        else memcpy(at, there, bytes);
        at += bytes;
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&image), PyBuffer_Release(&first);
    PyBuffer_Release(&length), PyBuffer_Release(&values);
    Py_RETURN_NONE;
}

static PyObject *take_runs(PyObject *self, PyObject *args) { return copy_runs(args, 0); }
static PyObject *put_runs(PyObject *self, PyObject *args) { return copy_runs(args, 1); }

static PyObject *fill_runs(PyObject *self, PyObject *args)
{
    Py_buffer image, first, length, value;
    if (!PyArg_ParseTuple(args, "w*y*y*y*", &image, &first, &length, &value)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    const i64 *firsts = first.buf, *lengths = length.buf;
    const i32 *values = value.buf;
    i64 runs = first.len / (i64)sizeof(i64);
    for (i64 run = 0; run < runs; run++) {
        i32 *at = (i32 *)image.buf + firsts[run], *end = at + lengths[run];
        while (at < end) *at++ = values[run];
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&image), PyBuffer_Release(&first);
    PyBuffer_Release(&length), PyBuffer_Release(&value);
    Py_RETURN_NONE;
}

/* ---- flood ---- */

static int flood(const u8 *level, i32 *region, i64 size, i64 width, int top)
{
    const i64 steps[4] = {-width, -1, 1, width};
    Pile waiting[256] = {{0}}, edge = {0}, next = {0}, found = {0};
    u8 *is_free = malloc((size_t)size + 1);
    int fine = is_free != NULL;
    for (i64 at = 0; fine && at < size; at++) {
        if (level[at] >= top) region[at] = -1;
        is_free[at] = region[at] == 0;
    }
    for (i64 at = 0; fine && at < size; at++)
        for (int step = 0; step < 4 && region[at] > 0; step++) {
            i64 beside = at + steps[step];
            if (!is_free[beside]) continue;
            is_free[beside] = 0;
            fine &= PUSH(waiting[level[beside]], i64, beside);
        }
    for (int height = 0; fine && height < top; height++) {
        Pile now = waiting[height];
        waiting[height] = edge;
        edge = now;
        while (fine && edge.used) {
            const i64 *places = (const i64 *)edge.at;
            i64 count = (i64)(edge.used / sizeof(i64));
            next.used = found.used = 0;
            for (i64 each = 0; fine && each < count; each++) {
                uint32_t least = UINT32_MAX;
                for (int step = 0; step < 4; step++) {
                    i64 beside = places[each] + steps[step];
                    /* Minus 1 and unsigned, what is not flooded is the largest. */
                    uint32_t here = (uint32_t)region[beside] - 1;
                    if (here < least) least = here;
                    if (!is_free[beside]) continue;
                    is_free[beside] = 0;
                    fine &= level[beside] <= height ? PUSH(next, i64, beside)
                                                    : PUSH(waiting[level[beside]], i64, beside);
                }
                fine &= PUSH(found, i32, (i32)(least + 1));
            }
            /* Only now: those of one front do not see each other. */
            for (i64 each = 0; fine && each < count; each++)
                region[places[each]] = ((const i32 *)found.at)[each];
            now = edge;
            edge = next;
            next = now;
        }
        edge.used = 0;
    }
    for (i64 at = 0; fine && at < size; at++)
        if (region[at] < 0) region[at] = 0;
    for (int height = 0; height < 256; height++) free(waiting[height].at);
    free(edge.at), free(next.at), free(found.at), free(is_free);
    return fine;
}

static PyObject *flooded(PyObject *self, PyObject *args)
{
    Py_buffer level, region;
    long long width;
    int top, fine;
    if (!PyArg_ParseTuple(args, "y*w*Li", &level, &region, &width, &top)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    fine = flood(level.buf, region.buf, level.len, width, top);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&level), PyBuffer_Release(&region);
    if (!fine) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

/* ---- outlines ---- */

static int is_joint(const i32 *flat, i64 corner, i64 row)
{
    i32 nw = flat[corner - row - 1], ne = flat[corner - row], sw = flat[corner - 1];
    i32 se = flat[corner];
    int walls = (nw != ne) + (ne != se) + (se != sw) + (sw != nw);
    int strangers = (nw == 0 && se == 0 && ne != sw) || (ne == 0 && sw == 0 && nw != se);
    return walls >= 3 && !(walls == 4 && strangers);
}

typedef struct {
    Pile x, y, other, joint, first, label, hole;
} RingPiles;

static int follow(const i32 *flat, i64 row, i64 begin, u8 *seen, RingPiles *rings)
{
    const i64 step[4] = {1, -row, -1, row};
    const i64 left[4] = {-row, -row - 1, -1, 0}, right[4] = {0, -row, -row - 1, -1};
    i32 own = flat[begin - row];
    i64 corner = begin, twice = 0, first = (i64)(rings->x.used / sizeof(i64));
    i64 x0 = begin % row - 1, y0 = begin / row - 1, x = x0, y = y0;
    int heading = 0;
    do {
        if (heading == 0) seen[corner] = 1;
        i32 other = flat[corner + right[heading]];
        if (!(PUSH(rings->x, i64, x) && PUSH(rings->y, i64, y) && PUSH(rings->other, i32, other) &&
              PUSH(rings->joint, u8, (u8)is_joint(flat, corner, row))))
            return 0;
        i64 from_x = x, from_y = y;
        do {
            corner += step[heading];
            x += (heading == 0) - (heading == 2);
            y += (heading == 3) - (heading == 1);
        } while (flat[corner + left[heading]] == own && flat[corner + right[heading]] == other);
        twice += from_x * y - x * from_y;
        if (flat[corner + right[heading]] == own) heading = (heading + 3) % 4;
        else if (flat[corner + left[heading]] != own) heading = (heading + 1) % 4;
    } while (corner != begin || heading != 0);
    return PUSH(rings->first, i64, first) && PUSH(rings->label, i32, own) &&
           PUSH(rings->hole, u8, (u8)(twice > 0));
}

static int trace_all(const i32 *flat, i64 size, i64 row, RingPiles *rings)
{
    u8 *seen = calloc((size_t)size + 1, 1);
    int fine = seen != NULL;
    for (i64 corner = row + 1; fine && corner < size; corner++) {
        i32 up = flat[corner - row], down = flat[corner];
        if (up == down || up == 0 || seen[corner]) continue;
        if (flat[corner - row - 1] == up && flat[corner - 1] == down) continue;
        fine = follow(flat, row, corner, seen, rings);
    }
    free(seen);
    return fine && PUSH(rings->first, i64, (i64)(rings->x.used / sizeof(i64)));
}

static PyObject *trace(PyObject *self, PyObject *args)
{
    Py_buffer labels;
    long long row;
    if (!PyArg_ParseTuple(args, "y*L", &labels, &row)) return NULL;
    RingPiles rings = {0};
    int fine;
    Py_BEGIN_ALLOW_THREADS
    fine = trace_all(labels.buf, labels.len / (i64)sizeof(i32), row, &rings);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&labels);
    if (!fine) {
        free(rings.x.at), free(rings.y.at), free(rings.other.at), free(rings.joint.at);
        free(rings.first.at), free(rings.label.at), free(rings.hole.at);
        return PyErr_NoMemory();
    }
    PyObject *x = given(&rings.x), *y = given(&rings.y), *other = given(&rings.other);
    PyObject *joint = given(&rings.joint), *first = given(&rings.first);
    PyObject *label = given(&rings.label), *hole = given(&rings.hole);
    return Py_BuildValue("NNNNNNN", x, y, other, joint, first, label, hole);
}

typedef struct {
    const i64 *x, *y;
    i64 begin, size; /* of the ring; its points are counted on from `begin`, around */
} Path;

static double square_from_chord(const Path *path, i64 low, i64 high, i64 point)
{
    i64 a = path->begin + low % path->size, b = path->begin + high % path->size;
    i64 p = path->begin + point % path->size;
    double cx = (double)path->x[b] - (double)path->x[a], cy = (double)path->y[b] - (double)path->y[a];
    double ax = (double)path->x[p] - (double)path->x[a], ay = (double)path->y[p] - (double)path->y[a];
    double chord = cx * cx + cy * cy, along = ax * cx + ay * cy, direct = ax * ax + ay * ay;
    if (along > 0 && along < chord) {
        double across = ax * cy - ay * cx;
        return across * across / (chord > 1 ? chord : 1);
    }
    double to_end = direct - 2 * along + chord;
    return direct < to_end ? direct : to_end;
}

/* Keep the first and the last of the farthest points between two that are kept, and so on. */
static int thin_out(const Path *path, i64 low, i64 high, double square, u8 *kept, Pile *todo)
{
    todo->used = 0;
    if (!(PUSH(*todo, i64, low) && PUSH(*todo, i64, high))) return 0;
    while (todo->used) {
        const i64 *last = (const i64 *)(todo->at + todo->used) - 2;
        low = last[0], high = last[1];
        todo->used -= 2 * sizeof(i64);
        double most = -1;
        i64 near = 0, off = 0;
        for (i64 point = low + 1; point < high; point++) {
            double far = square_from_chord(path, low, high, point);
            if (far > most) most = far, near = off = point;
            else if (far == most) off = point;
        }
        if (!(most > square)) continue;
        kept[path->begin + near % path->size] = kept[path->begin + off % path->size] = 1;
        const i64 ends[4] = {low, near, off, high};
        for (int part = 0; part < 3; part++)
            if (ends[part + 1] - ends[part] > 1 &&
                !(PUSH(*todo, i64, ends[part]) && PUSH(*todo, i64, ends[part + 1])))
                return 0;
    }
    return 1;
}

/* Of a ring without joints: all corners farthest from the mean one. */
static void begin_farthest(const Path *path, u8 *kept)
{
    double sum_x = 0, sum_y = 0, most = -1, size = (double)path->size;
    for (int round = 0; round < 3; round++)
        for (i64 at = path->begin; at < path->begin + path->size; at++) {
            double dx = (double)path->x[at] * size - sum_x;
            double dy = (double)path->y[at] * size - sum_y;
            double far = dx * dx + dy * dy;
            if (round == 1 && far > most) most = far;
            if (round == 2) kept[at] = far == most;
            if (round == 0) sum_x += (double)path->x[at], sum_y += (double)path->y[at];
        }
}

static int simplify_all(const i64 *x, const i64 *y, const i64 *first, i64 rings,
                        const double *tolerance, u8 *kept)
{
    Pile todo = {0};
    int fine = 1;
    for (i64 ring = 0; fine && ring < rings; ring++) {
        Path path = {x, y, first[ring], first[ring + 1] - first[ring]};
        const u8 *joint = memchr(kept + path.begin, 1, (size_t)path.size);
        if (!joint) begin_farthest(&path, kept);
        i64 lead = 0;
        while (!kept[path.begin + lead]) lead++;
        for (i64 low = lead, high; fine && low < lead + path.size; low = high) {
            high = low + 1;
            /* What this stretch keeps lies behind: only corners kept before end it. */
            while (high < lead + path.size && !kept[path.begin + high % path.size]) high++;
            double limit = tolerance[path.begin + low % path.size];
            if (high - low > 1)
                fine = thin_out(&path, low, high, limit * limit, kept, &todo);
        }
    }
    free(todo.at);
    return fine;
}

static PyObject *simplified(PyObject *self, PyObject *args)
{
    Py_buffer x, y, first, tolerance, kept;
    int fine;
    if (!PyArg_ParseTuple(args, "y*y*y*y*w*", &x, &y, &first, &tolerance, &kept)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    fine = simplify_all(x.buf, y.buf, first.buf, first.len / (i64)sizeof(i64) - 1, tolerance.buf,
                        kept.buf);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&x), PyBuffer_Release(&y), PyBuffer_Release(&first);
    PyBuffer_Release(&tolerance), PyBuffer_Release(&kept);
    if (!fine) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

typedef struct {
    const i64 *x, *y, *sums; /* corners, and six prefix sums of the stairs between them */
    i64 pitch;               /* of the sums */
} Stairs;

/* See `outlines.fitting.Stairs.lines`, whose operations these are, in the same order: of the stairs
   from `begin` to before `stop`, within a ring, a point of the line (x, y) and its direction. */
static void fit_line(const Stairs *of, i64 begin, i64 stop, i64 ring_begin, i64 ring_stop,
                     double *line)
{
    i64 m[6], last = stop == ring_stop ? ring_begin : stop;
    for (int each = 0; each < 6; each++) {
        const i64 *upto = of->sums + each * of->pitch;
        m[each] = upto[stop] - upto[begin];
        if (stop <= begin) m[each] += upto[ring_stop] - upto[ring_begin];
    }
    i64 x0 = of->x[begin], y0 = of->y[begin], x1 = of->x[last], y1 = of->y[last];
    i64 bx = x0 + x1 - 2 * of->x[ring_begin], by = y0 + y1 - 2 * of->y[ring_begin];
    i64 sxx = m[3] - 6 * bx * m[1] + 3 * bx * bx * m[0];
    i64 syy = m[4] - 6 * by * m[2] + 3 * by * by * m[0];
    i64 sxy = m[5] - 3 * bx * m[2] - 3 * by * m[1] + 3 * bx * by * m[0];
    double sx = (double)(m[1] - bx * m[0]), sy = (double)(m[2] - by * m[0]);
    double length = (double)m[0], mx = sx / length, my = sy / length;
    double vxx = ((double)sxx / 3 - sx * mx) / 4, vyy = ((double)syy / 3 - sy * my) / 4;
    double vxy = ((double)sxy / 3 - sx * my) / 4, d = vxx - vyy, e = 2 * vxy;
    double h = sqrt(d * d + e * e), ratio = h > 0 ? d / h : 1.0;
    line[0] = ((double)(x0 + x1) + mx) / 2;
    line[1] = ((double)(y0 + y1) + my) / 2;
    line[2] = sqrt((1 + ratio) / 2);
    line[3] = (e < 0 ? -1.0 : 1.0) * sqrt((1 - ratio) / 2);
}

/* How far the farthest corner of a stretch of a ring is from a line; NaN if any is. */
static double farthest(const i64 *x, const i64 *y, i64 at, i64 many, i64 stop, i64 size,
                       const double *line)
{
    double most = -1;
    for (; many > 0; many--, at++) {
        i64 corner = at >= stop ? at - size : at;
        double dx = (double)x[corner] - line[0], dy = (double)y[corner] - line[1];
        double off = line[2] * dy - line[3] * dx;
        if (off < 0) off = -off;
        if (off > most || off != off) most = off;
    }
    return most;
}

static PyObject *missed(PyObject *self, PyObject *args)
{
    Py_buffer x, y, sums, stretches, most;
    if (!PyArg_ParseTuple(args, "y*y*y*y*w*", &x, &y, &sums, &stretches, &most)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    Stairs of = {x.buf, y.buf, sums.buf, sums.len / 6 / (i64)sizeof(i64)};
    const i64 *each = stretches.buf; /* begin, stop, and those of the ring */
    double line[4], *out = most.buf, *end = out + most.len / (i64)sizeof(double);
    for (; out < end; out++, each += 4) {
        i64 size = each[3] - each[2], many = each[1] - each[0] + 1; /* the last corner counts too */
        if (each[1] <= each[0]) many += size;
        fit_line(&of, each[0], each[1], each[2], each[3], line);
        *out = farthest(of.x, of.y, each[0], many, each[3], size, line);
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&x), PyBuffer_Release(&y), PyBuffer_Release(&sums);
    PyBuffer_Release(&stretches), PyBuffer_Release(&most);
    Py_RETURN_NONE;
}

/* Sums of the values of labels 1, 2, ..., as many as there is room for. */
static PyObject *label_sums(PyObject *self, PyObject *args)
{
    Py_buffer labels, values, sums;
    if (!PyArg_ParseTuple(args, "y*y*w*", &labels, &values, &sums)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    const i32 *label = labels.buf;
    const u8 *value = values.buf;
    i64 *sum = sums.buf;
    uint32_t count = (uint32_t)(sums.len / (i64)sizeof(i64));
    for (i64 at = 0; at < values.len; at++) {
        uint32_t number = (uint32_t)label[at] - 1; /* of none, the largest */
        if (number < count) sum[number] += value[at];
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&labels), PyBuffer_Release(&values), PyBuffer_Release(&sums);
    Py_RETURN_NONE;
}

/* The values in the middle of those of labels from `first` on, two of each. */
static int find_middles(const i32 *labels, const u8 *values, i64 size, i64 first, i64 count,
                        i64 *middle)
{
    i64 *many = calloc((size_t)count * 256 + 1, sizeof(i64));
    if (!many) return 0;
    for (i64 at = 0; at < size; at++) {
        i64 label = (i64)labels[at] - first;
        if (label >= 0 && label < count) many[256 * label + values[at]]++;
    }
    for (i64 label = 0; label < count; label++, middle += 2) {
        const i64 *of = many + 256 * label;
        i64 total = 0, upto = 0;
        for (int value = 0; value < 256; value++) total += of[value];
        i64 low = total ? (total - 1) / 2 : -1, high = total / 2;
        middle[0] = middle[1] = 0;
        for (int value = 0; value < 256; value++) {
            upto += of[value];
            middle[0] += upto <= low;
            middle[1] += upto <= high;
        }
    }
    free(many);
    return 1;
}

static PyObject *middles(PyObject *self, PyObject *args)
{
    Py_buffer labels, values, middle;
    long long first;
    int fine;
    if (!PyArg_ParseTuple(args, "y*y*Lw*", &labels, &values, &first, &middle)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    fine = find_middles(labels.buf, values.buf, values.len, first,
                        middle.len / (i64)(2 * sizeof(i64)), middle.buf);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&labels), PyBuffer_Release(&values), PyBuffer_Release(&middle);
    if (!fine) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

/* ---- morphology ---- */

static void erode(const u8 *mask, u8 *out, i64 rows, i64 cols, int square)
{
    for (i64 row = 1; row + 1 < rows; row++) {
        const u8 *a = mask + (row - 1) * cols, *b = a + cols, *c = b + cols;
        u8 *to = out + row * cols;
        if (square)
            for (i64 at = 1; at + 1 < cols; at++)
                to[at] = a[at - 1] & a[at] & a[at + 1] & b[at - 1] & b[at] & b[at + 1] &
                         c[at - 1] & c[at] & c[at + 1];
        else
            for (i64 at = 1; at + 1 < cols; at++)
                to[at] = a[at] & b[at - 1] & b[at] & b[at + 1] & c[at];
    }
}

static PyObject *eroded(PyObject *self, PyObject *args)
{
    Py_buffer mask, out;
    long long rows, cols;
    int square;
    if (!PyArg_ParseTuple(args, "y*w*LLi", &mask, &out, &rows, &cols, &square)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    erode(mask.buf, out.buf, rows, cols, square);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&mask), PyBuffer_Release(&out);
    Py_RETURN_NONE;
}

/* ---- heights by feet ---- */

typedef struct {
    const i64 *row, *start, *stop, *many, *steps; /* runs, segment after segment, and how many */
    i64 rows, cols, segments, candidates;
    const i16 *map, *weight; /* no weight: 1 everywhere */
} Slide;

enum { SAFE = 2048 }; /* so many products of 1020 and 1020 stay below 2^31 */

static inline i64 product(const i16 *one, const i16 *two, i64 size)
{
    i64 total = 0;
    for (i64 from = 0; from < size; from += SAFE) {
        i64 stop = from + SAFE < size ? from + SAFE : size;
        i32 some = 0;
        for (i64 at = from; at < stop; at++) some += (i32)one[at] * (i32)two[at];
        total += some;
    }
    return total;
}

static inline i64 total_of(const i16 *one, i64 size)
{
    i64 total = 0;
    for (i64 at = 0; at < size; at++) total += one[at];
    return total;
}

static inline i64 inside(i64 value, i64 stop) { return value < 0 ? 0 : value >= stop ? stop - 1 : value; }

/* A segment, its runs `r` to `end`, moved back by `step`; what lies outside of the map is at its
   edge. */
static inline i64 slide_one(const Slide *by, i64 r, i64 end, const i64 *step, int whole)
{
    i64 total = 0;
    for (; r < end; r++) {
        const i16 *weight = by->weight ? by->weight + by->row[r] * by->cols : NULL;
        const i16 *map = by->map + inside(by->row[r] - step[1], by->rows) * by->cols;
        i64 start = by->start[r], size = by->stop[r] - start;
        if (whole && weight) total += product(weight + start, map + start - step[0], size);
        else if (whole) total += total_of(map + start - step[0], size);
        else
            for (i64 col = start; col < by->stop[r]; col++)
                total += (i64)map[inside(col - step[0], by->cols)] * (weight ? weight[col] : 1);
    }
    return total;
}

/* Sums of each segment by each candidate; those that move it alike are one. */
static FAST void slide(const Slide *by, i64 *sums)
{
    i64 r = 0;
    for (i64 s = 0; s < by->segments; s++) {
        i64 end = r + by->many[s], first = INT64_MAX, last = -1;
        for (i64 each = r; each < end; each++) {
            first = by->start[each] < first ? by->start[each] : first;
            last = by->stop[each] > last ? by->stop[each] : last;
        }
        const i64 *before = NULL;
        for (i64 k = 0, at = s; k < by->candidates; k++, at += by->segments) {
            const i64 *step = by->steps + 2 * at;
            int whole = first >= step[0] && last - step[0] <= by->cols;
            if (before && before[0] == step[0] && before[1] == step[1])
                sums[at] = sums[at - by->segments];
            else sums[at] = slide_one(by, r, end, step, whole);
            before = step;
        }
        r = end;
    }
}

static PyObject *slid_sums(PyObject *self, PyObject *args)
{
    Py_buffer row, start, stop, many, steps, map, weight, sums;
    long long rows, cols, candidates;
    if (!PyArg_ParseTuple(args, "y*y*y*y*y*y*y*LLLw*", &row, &start, &stop, &many, &steps, &map,
                          &weight, &rows, &cols, &candidates, &sums))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    Slide by = {row.buf, start.buf, stop.buf, many.buf, steps.buf, rows, cols,
                many.len / (i64)sizeof(i64), candidates, map.buf, weight.len ? weight.buf : NULL};
    slide(&by, sums.buf);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&row), PyBuffer_Release(&start), PyBuffer_Release(&stop);
    PyBuffer_Release(&many), PyBuffer_Release(&steps), PyBuffer_Release(&map);
    PyBuffer_Release(&weight), PyBuffer_Release(&sums);
    Py_RETURN_NONE;
}

static FAST void pool(const u8 *image, i64 rows, i64 pitch, i64 cols, i16 *out)
{
    for (i64 row = 0; row + 1 < rows; row += 2, out += cols) {
        const u8 *upper = image + row * pitch, *lower = upper + pitch;
        for (i64 col = 0; col < cols; col++)
            out[col] = (i16)(upper[2 * col] + upper[2 * col + 1] + lower[2 * col] +
                             lower[2 * col + 1]);
    }
}

/* Sums (0..1020) of squares of 2 x 2 pixels of 0..255. */
static PyObject *pooled(PyObject *self, PyObject *args)
{
    Py_buffer image, out;
    long long rows, pitch;
    if (!PyArg_ParseTuple(args, "y*LLw*", &image, &rows, &pitch, &out)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    pool(image.buf, rows, pitch, pitch / 2, out.buf);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&image), PyBuffer_Release(&out);
    Py_RETURN_NONE;
}

/* Where a segment is not, the highest number around: one step of growing. */
static FAST int grow_once(i32 *image, i64 rows, i64 cols)
{
    i32 *above = calloc((size_t)(3 * (cols + 2)), sizeof(i32));
    if (!above) return 0;
    i32 *here = above + cols + 2, *most = here + cols + 2;
    memcpy(here + 1, image, (size_t)cols * sizeof(i32));
    for (i64 row = 0; row < rows; row++) {
        i32 *line = image + row * cols;
        const i32 *below = row + 1 < rows ? line + cols : line;
        for (i64 col = 0; col < cols; col++) {
            i32 highest = above[col + 1] > below[col] ? above[col + 1] : below[col];
            most[col + 1] = highest > here[col + 1] ? highest : here[col + 1];
        }
        for (i64 col = 0; col < cols; col++) {
            i32 highest = most[col] > most[col + 2] ? most[col] : most[col + 2];
            highest = highest > most[col + 1] ? highest : most[col + 1];
            line[col] = here[col + 1] > 0 ? here[col + 1] : highest;
        }
        i32 *spare = above;
        above = here;
        here = spare;
        memcpy(here + 1, below, (size_t)cols * sizeof(i32));
    }
    free(above < here ? above : here);
    return 1;
}

static PyObject *grown(PyObject *self, PyObject *args)
{
    Py_buffer image;
    long long rows, cols;
    int steps, fine = 1;
    if (!PyArg_ParseTuple(args, "w*LLi", &image, &rows, &cols, &steps)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    while (fine && steps-- > 0) fine = grow_once(image.buf, rows, cols);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&image);
    if (!fine) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

/* Write each segment's value into the four pixels of each of its squares. */
static PyObject *paint(PyObject *self, PyObject *args)
{
    Py_buffer image, segment, value;
    long long rows, cols, pitch;
    if (!PyArg_ParseTuple(args, "w*Ly*LLy*", &image, &pitch, &segment, &rows, &cols, &value))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    const i32 *of = segment.buf;
    const u8 *values = value.buf;
    for (i64 row = 0; row < rows; row++) {
        u8 *upper = (u8 *)image.buf + 2 * row * pitch, *lower = upper + pitch;
        for (i64 col = 0; col < cols; col++, of++) {
            if (!*of) continue;
            upper[2 * col] = upper[2 * col + 1] = values[*of - 1];
            lower[2 * col] = lower[2 * col + 1] = values[*of - 1];
        }
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&image), PyBuffer_Release(&segment), PyBuffer_Release(&value);
    Py_RETURN_NONE;
}

/* ---- normalising ---- */

static FAST void scale16(const uint16_t *counts, float *out, i64 size, const float *by)
{
    const float low = by[0], width = by[1], least = by[2], most = by[3];
    const float centre = by[4], gain = by[5];
    for (i64 at = 0; at < size; at++) {
        float share = ((float)counts[at] - low) / width;
        share = share < least ? least : share > most ? most : share;
        out[at] = (share - centre) * gain;
    }
}

/* One band of 16 bits: minus, over, clipped from, to, minus, times. */
static PyObject *scaled(PyObject *self, PyObject *args)
{
    Py_buffer counts, out;
    float by[6];
    if (!PyArg_ParseTuple(args, "y*w*ffffff", &counts, &out, by, by + 1, by + 2, by + 3, by + 4,
                          by + 5))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    scale16(counts.buf, out.buf, counts.len / 2, by);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&counts), PyBuffer_Release(&out);
    Py_RETURN_NONE;
}

/* ---- one axis of pictures, resized ---- */

/* Each of `count` lines of `inner` values is a sum of `taps` lines of `old`, weighed, in order. */
static FAST void resample(const float *in, i64 many, i64 old, i64 inner, const i64 *index,
                     const float *weight, i64 taps, i64 count, float *out)
{
    for (i64 one = 0; one < many; one++, in += old * inner) {
        for (i64 line = 0; line < count; line++, out += inner) {
            for (i64 tap = 0; tap < taps; tap++) {
                const float *from = in + index[tap * count + line] * inner;
                float by = weight[tap * count + line];
                if (tap == 0) for (i64 at = 0; at < inner; at++) out[at] = from[at] * by;
                else for (i64 at = 0; at < inner; at++) out[at] += from[at] * by;
            }
        }
    }
}

/* The same where values of a line lie one by one: `resample` would start a loop for each. */
static FAST void resample_within(const float *in, i64 many, i64 old, const i64 *index,
                            const float *weight, i64 taps, i64 count, float *out)
{
    for (i64 one = 0; one < many; one++, in += old, out += count) {
        for (i64 at = 0; at < count; at++) out[at] = in[index[at]] * weight[at];
        for (i64 tap = 1; tap < taps; tap++) {
            const i64 *from = index + tap * count;
            const float *by = weight + tap * count;
            for (i64 at = 0; at < count; at++) out[at] += in[from[at]] * by[at];
        }
    }
}

static PyObject *resampled(PyObject *self, PyObject *args)
{
    Py_buffer in, index, weight, out;
    long long many, old, inner, taps, count;
    if (!PyArg_ParseTuple(args, "y*LLLy*y*LLw*", &in, &many, &old, &inner, &index, &weight, &taps,
                          &count, &out))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    if (inner == 1)
        resample_within(in.buf, many, old, index.buf, weight.buf, taps, count, out.buf);
    else resample(in.buf, many, old, inner, index.buf, weight.buf, taps, count, out.buf);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&in), PyBuffer_Release(&index), PyBuffer_Release(&weight);
    PyBuffer_Release(&out);
    Py_RETURN_NONE;
}

static FAST void quantise(const float *from, float by, u8 *to, i64 size)
{
    for (i64 at = 0; at < size; at++) {
        float value = from[at] / by;
        value = (value < 1.0f ? value : 1.0f) * 255.0f;
        /* From 2^23 on a float has no halves, so adding it rounds; its last bits are the number. */
        union { float value; uint32_t bits; } whole = {value + 8388608.0f};
        to[at] = (u8)whole.bits;
    }
}

/* Values, divided and cut off at 1, as 0..255; halves go to the even number, as numpy's do. */
static PyObject *quantised(PyObject *self, PyObject *args)
{
    Py_buffer in, out;
    float by;
    if (!PyArg_ParseTuple(args, "y*fw*", &in, &by, &out)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    quantise(in.buf, by, out.buf, out.len);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&in), PyBuffer_Release(&out);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"components", components, METH_VARARGS, NULL},
    {"runs_of_labels", runs_of_labels, METH_VARARGS, NULL},
    {"take_runs", take_runs, METH_VARARGS, NULL},
    {"put_runs", put_runs, METH_VARARGS, NULL},
    {"fill_runs", fill_runs, METH_VARARGS, NULL},
    {"flooded", flooded, METH_VARARGS, NULL},
    {"trace", trace, METH_VARARGS, NULL},
    {"simplified", simplified, METH_VARARGS, NULL},
    {"missed", missed, METH_VARARGS, NULL},
    {"label_sums", label_sums, METH_VARARGS, NULL},
    {"middles", middles, METH_VARARGS, NULL},
    {"eroded", eroded, METH_VARARGS, NULL},
    {"slid_sums", slid_sums, METH_VARARGS, NULL},
    {"pooled", pooled, METH_VARARGS, NULL},
    {"grown", grown, METH_VARARGS, NULL},
    {"paint", paint, METH_VARARGS, NULL},
    {"scaled", scaled, METH_VARARGS, NULL},
    {"resampled", resampled, METH_VARARGS, NULL},
    {"quantised", quantised, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_kernels", NULL, 0, methods, NULL, NULL, NULL, NULL};

/* Of this file, as setup.py says: "unknown" where something else compiled it. */
#ifndef SOURCE_SHA256
#define SOURCE_SHA256 unknown
#endif
#define AS_TEXT(name) #name
#define TEXT_OF(macro) AS_TEXT(macro)

PyMODINIT_FUNC PyInit__kernels(void) {
    PyObject *made = PyModule_Create(&module);
    if (made && PyModule_AddStringConstant(made, "SOURCE_SHA256", TEXT_OF(SOURCE_SHA256)) < 0) {
        Py_DECREF(made);
        return NULL;
    }
    return made;
}
