"""C that hands pieces of a call to the caller's threads, and examples of such threads."""

from __future__ import annotations

from collections.abc import Sequence

from qir.backends.c.emitting.names import Names
from qir.backends.c.program import CTYPES, Program


def running(program: Program, names: Names, codes: bool) -> str:
    """The function that runs the network: net_run, or net_run_on where there may be threads."""
    return f"{names.prefix}_run{'_q' if codes else ''}{'_on' if program.threads > 1 else ''}"


def within(program: Program, parameters: str) -> str:
    """Parameters led by the context where there may be threads."""
    return f"const qir_context *context, {parameters}" if program.threads > 1 else parameters


def declared(program: Program, names: Names, parameters: Sequence[str], quantized: bool) -> list[str]:
    """Lines of net.h: the context and the functions that take it.

    Args:
        parameters: of net_run and net_run_q.
    """
    n = names.prefix
    lines = [
        "/* The caller's threads. parallel_for calls task(job, index) once for each index from 0 to count - 1, in any",
        f"   order, on any threads, and returns when all calls have. count is at most {n.upper()}_THREADS. */",
        f"#define {n.upper()}_THREADS {program.threads}",
        "typedef struct {",
        "    void (*parallel_for)(void *pool, int count, void (*task)(void *job, int index), void *job);",
        "    void *pool;",
        f"}} {n}_context;",
        "",
        f"/* As {n}_run, heavy layers on the caller's threads; the results are the same bits. Where context or its",
        "   parallel_for is NULL everything runs on the calling thread. */",
        f"int {n}_run_on(const {n}_context *context, {parameters[0]});",
    ]
    lines += [f"int {n}_run_q_on(const {n}_context *context, {parameters[1]});"] if quantized else []
    return [*lines, ""]


def alone(names: Names, codes: bool, parameters: str, arguments: str) -> str:
    """net_run, or net_run_q, on the calling thread."""
    suffix = "_q" if codes else ""
    name = f"{names.prefix}_run{suffix}"
    return f"int {name}({parameters}) {{\n    return {name}_on(0, {arguments});\n}}\n"


def _ports(program: Program, names: Names) -> list[tuple[str, str]]:
    """(type, name) of what calls are given."""
    rows = [(port, name, "const ") for port, name in zip(program.inputs, names.inputs, strict=True)]
    rows += [(port, name, "") for port, name in zip(program.outputs, names.outputs, strict=True)]
    return [("uint8_t *", "memory"), *((f"{const}{CTYPES[(p.code or p.dtype).name]} *", n) for p, n, const in rows)]


def sharing(program: Program, names: Names) -> str:
    """What tasks are given, and how they are run."""
    fields = "".join(f"    {kind}{name};\n" for kind, name in _ports(program, names))
    return f"typedef struct {{\n{fields}}} qir_job;\n\n{_SHARING}"


_SHARING = """static void qir_share(const qir_context *context, int count, void (*task)(void *, int), void *job) {
    int i;
    if (context && context->parallel_for) {
        context->parallel_for(context->pool, count, task, job);
        return;
    }
    for (i = 0; i < count; ++i) {
        task(job, i);
    }
}
"""


def given(program: Program, names: Names) -> list[str]:
    """The first line of a function whose calls are shared."""
    return [f"    qir_job job = {{{', '.join(name for _, name in _ports(program, names))}}};"]


def task(function: str, pieces: Sequence[str], program: Program, names: Names) -> str:
    """A function that does one of several statements, by number."""
    ports = _ports(program, names)
    lines = [f"static void {function}(void *given, int index) {{"]
    lines.append("    const qir_job *const job = (const qir_job *)given;")
    lines += [f"    {kind}const {name} = job->{name};" for kind, name in ports]
    lines += [f"    (void){name};" for _, name in ports]
    lines.append("    switch (index) {")
    for number, piece in enumerate(pieces):
        label = f"case {number}" if number + 1 < len(pieces) else "default"
        lines += [f"        {label}:", f"            {piece}", "            break;"]
    return "\n".join([*lines, "    }", "}", ""])


def example_files(program: Program, names: Names) -> dict[str, str]:
    """Threads for net_run_on: a pool on POSIX threads, and OpenMP's; the network needs neither."""
    if program.threads < 2:
        return {}
    texts = {"pool.h": _POOL_H, "pool_pthread.c": _POOL_PTHREAD, "pool_openmp.c": _POOL_OPENMP}
    n, m = names.prefix, names.macro
    return {f"{n}_{name}": text.replace("NET", m).replace("net_", f"{n}_") for name, text in texts.items()}


_POOL_H = """/* Threads for net_run_on, as an example: net_pool_pthread.c or net_pool_openmp.c.

       static net_pool pool;
       net_context context = {net_pool_run, &pool};
       net_pool_start(&pool, 2);
       net_run_on(&context, arena, ...);
       net_pool_stop(&pool);

   One run uses a pool at a time. */
#ifndef NET_POOL_H
#define NET_POOL_H

#include "net.h"

#if defined(_OPENMP)
typedef struct {
    int threads;
} net_pool;
#else
#include <pthread.h>
typedef struct {
    pthread_t workers[NET_THREADS];
    pthread_mutex_t mutex;
    pthread_cond_t work, done;
    void (*task)(void *, int);
    void *job;
    int threads; /* the calling one included */
    int count, next, left;
    int stopped;
    unsigned round;
} net_pool;
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Starts `threads` - 1 threads besides the calling one, at most NET_THREADS - 1. Returns how many there are then. */
int net_pool_start(net_pool *pool, int threads);

/* A net_context's parallel_for. */
void net_pool_run(void *pool, int count, void (*task)(void *job, int index), void *job);

/* Waits until the threads have ended. */
void net_pool_stop(net_pool *pool);

#ifdef __cplusplus
}
#endif

#endif
"""

_POOL_PTHREAD = """/* Workers that wait for pieces: awake for a while, since the next layer comes soon, then asleep. */
#include "net_pool.h"

#define LOOKS 20000

/* Takes pieces until none is left; the mutex is held before and after. */
static void net_pool_take(net_pool *pool) {
    while (pool->next < pool->count) {
        const int index = pool->next++;
        void (*const task)(void *, int) = pool->task;
        void *const job = pool->job;
        pthread_mutex_unlock(&pool->mutex);
        task(job, index);
        pthread_mutex_lock(&pool->mutex);
        if (__atomic_sub_fetch(&pool->left, 1, __ATOMIC_ACQ_REL) == 0) {
            pthread_cond_signal(&pool->done);
        }
    }
}

static void *net_pool_work(void *given) {
    net_pool *const pool = (net_pool *)given;
    unsigned seen = 0;
    pthread_mutex_lock(&pool->mutex);
    while (!pool->stopped) {
        int looks;
        net_pool_take(pool);
        seen = pool->round;
        pthread_mutex_unlock(&pool->mutex);
        for (looks = 0; looks < LOOKS && __atomic_load_n(&pool->round, __ATOMIC_ACQUIRE) == seen; ++looks) {
        }
        pthread_mutex_lock(&pool->mutex);
        while (pool->round == seen && !pool->stopped) {
            pthread_cond_wait(&pool->work, &pool->mutex);
        }
    }
    pthread_mutex_unlock(&pool->mutex);
    return 0;
}

int net_pool_start(net_pool *pool, int threads) {
    pool->task = 0;
    pool->job = 0;
    pool->count = pool->next = pool->left = pool->stopped = 0;
    pool->round = 0;
    pthread_mutex_init(&pool->mutex, 0);
    pthread_cond_init(&pool->work, 0);
    pthread_cond_init(&pool->done, 0);
    for (pool->threads = 1; pool->threads < threads && pool->threads < NET_THREADS; ++pool->threads) {
        if (pthread_create(&pool->workers[pool->threads], 0, net_pool_work, pool) != 0) {
            break;
        }
    }
    return pool->threads;
}

static void net_pool_wake(net_pool *pool) {
    __atomic_store_n(&pool->round, pool->round + 1, __ATOMIC_RELEASE);
    pthread_cond_broadcast(&pool->work);
}

void net_pool_run(void *given, int count, void (*task)(void *job, int index), void *job) {
    net_pool *const pool = (net_pool *)given;
    int looks, left;
    pthread_mutex_lock(&pool->mutex);
    pool->task = task;
    pool->job = job;
    pool->next = 0;
    pool->count = count;
    __atomic_store_n(&pool->left, count, __ATOMIC_RELEASE);
    net_pool_wake(pool);
    net_pool_take(pool);
    left = pool->left;
    pthread_mutex_unlock(&pool->mutex);
    for (looks = 0; looks < LOOKS && left; ++looks) {
        left = __atomic_load_n(&pool->left, __ATOMIC_ACQUIRE);
    }
    pthread_mutex_lock(&pool->mutex);
    while (pool->left) {
        pthread_cond_wait(&pool->done, &pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
}

void net_pool_stop(net_pool *pool) {
    int i;
    pthread_mutex_lock(&pool->mutex);
    pool->stopped = 1;
    net_pool_wake(pool);
    pthread_mutex_unlock(&pool->mutex);
    for (i = 1; i < pool->threads; ++i) {
        pthread_join(pool->workers[i], 0);
    }
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->mutex);
}
"""

_POOL_OPENMP = """/* OpenMP's own threads; build everything that includes net_pool.h with -fopenmp. */
#include "net_pool.h"

#include <omp.h>

int net_pool_start(net_pool *pool, int threads) {
    const int most = omp_get_max_threads() < NET_THREADS ? omp_get_max_threads() : NET_THREADS;
    pool->threads = threads < most ? threads : most;
    return pool->threads;
}

void net_pool_run(void *given, int count, void (*task)(void *job, int index), void *job) {
    const net_pool *const pool = (const net_pool *)given;
    int i;
#pragma omp parallel for schedule(dynamic, 1) num_threads(pool->threads)
    for (i = 0; i < count; ++i) {
        task(job, i);
    }
}

void net_pool_stop(net_pool *pool) {
    pool->threads = 0;
}
"""
