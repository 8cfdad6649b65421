/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Preloaded into the runtime: whenever a thread gives up its signal stack, a tick that is late
 * arrives for it. Says at the end how many there were.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/signal.h"

static int late;

int sigaltstack(const stack_t *new, stack_t *old)
{
    int (*next)(const stack_t *, stack_t *) = dlsym(RTLD_NEXT, "sigaltstack");
    int rc = next(new, old);

    if (new && new->ss_flags & SS_DISABLE) {
        __atomic_fetch_add(&late, 1, __ATOMIC_RELAXED);
        syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), HOST_SIGNAL_TICK);
    }
    return rc;
}

static __attribute__((destructor)) void report(void)
{
    if (late)
        fprintf(stderr, "%d late ticks\n", late);
}
