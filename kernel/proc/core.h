/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Core files, core(5): what a process was when a signal ended it, in ELF, with the notes that
 * debuggers read.
 */
#pragma once

#include "abi/signal.h"
#include "proc/process.h"

/* Writes "core" into the working directory, as /proc/sys/kernel/core_pattern says, where
 * RLIMIT_CORE, prctl(PR_SET_DUMPABLE) and the file system allow it: never to the host's unless
 * the enclave is debuggable. The other threads of the process are on their end afterwards,
 * with `wait_status`, if it did. True: it is written. */
bool core_dump(const struct abi_siginfo *info, int wait_status);

/* Between core.c and core_notes.c: a thread as it was stopped. */
struct core_thread {
    struct regs regs;
    uint64_t fs_base, pending, blocked, cpu_ns, system_ns;
    int tid;
    char vector[]; /* vector_bytes */
};

struct core_area {
    uaddr_t start, end;
    uint64_t file_size; /* bytes that are written, from `start` on */
    uint32_t prot;
    uint64_t offset;
    uint32_t name; /* of its file, in core.names; UINT32_MAX: none */
};

struct core_bytes {
    char *bytes;
    size_t used, room;
    bool failed; /* no memory */
};
/* The new bytes, zeroed; NULL: no memory, now or before. */
void *core_append(struct core_bytes *b, const void *from, size_t size);

struct core {
    struct process *process;
    const struct abi_siginfo *info;
    char *threads; /* `thread_count` of thread_bytes each; who died is the first */
    size_t thread_count, thread_room, thread_bytes;
    struct core_bytes areas; /* struct core_area */
    struct core_bytes names, notes;
};

static inline struct core_thread *core_thread_at(const struct core *c, size_t i)
{
    return (struct core_thread *)(c->threads + i * c->thread_bytes);
}

static inline size_t core_area_count(const struct core *c)
{
    return c->areas.used / sizeof(struct core_area);
}

static inline struct core_area *core_area_at(const struct core *c, size_t i)
{
    return (struct core_area *)c->areas.bytes + i;
}

/* Fills c->notes. */
void core_make_notes(struct core *c);
