/* SPDX-License-Identifier: BSD-3-Clause */
/* Breaks rules on purpose, to see the sanitizers notice. Instrumented like any other code. */
#include "lib/alloc.h"
#include "lib/log.h"
#include "lib/san.h"
#include "lib/string.h"

static volatile char guarded[20];
static volatile int many = 40;

static volatile char *object(size_t size)
{
    volatile char *p = kzalloc(size);
    if (!p)
        panic("no memory for the self-test");
    return p;
}

void san_self_test(const char *name)
{
    volatile char *p = object(24);
    if (!strcmp(name, "heap-overflow")) {
        p[24] = 1;
    } else if (!strcmp(name, "use-after-free")) {
        kfree((void *)p);
        p[3] = 1;
    } else if (!strcmp(name, "double-free")) {
        kfree((void *)p);
        kfree((void *)p);
    } else if (!strcmp(name, "memcpy-overflow")) {
        char from[64] = {0};
        memcpy((void *)p, from, (size_t)many);
    } else if (!strcmp(name, "global-overflow")) {
        volatile char *g = guarded;
        __asm__("" : "+r"(g)); /* forget whose address it is */
        g[many / 2] = 1;
    } else if (!strcmp(name, "index")) {
        guarded[many / 2] = 1;
    } else if (!strcmp(name, "shift")) {
        many = 1 << many;
    } else if (!strcmp(name, "overflow")) {
        many = 0x7fffffff;
        many = many + 1;
    } else if (!strcmp(name, "guest")) {
        *(volatile char *)0x10000 = 1; /* the lowest address that programs may have */
    }
}
