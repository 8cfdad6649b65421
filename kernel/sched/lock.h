/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Spinlocks, mutexes and their order. A lock may be taken only while all locks held have a
 * lower rank. The kernel is not preempted, so a spinlock is never held
 * by a descheduled task; nothing may sleep, call the host or touch guest memory while holding
 * one. A mutex parks its waiters in the enclave; it may be held over sleeps and host calls only
 * where its rank is marked so.
 */
#pragma once

#include <stdatomic.h>

#include "lib/annot.h"
#include "lib/list.h"
#include "lib/types.h"

enum lock_rank {
    /* mutexes, outermost first (all may be held over sleeps) */
    RANK_EXEC,
    RANK_FILE_POS,   /* an open file's position */
    RANK_EPOLL_LINKS,
    RANK_EPOLL,      /* before whatever polling takes */
    /* the same four for file systems that are built on others */
    RANK_STACK_RENAME,
    RANK_STACK_DIR,
    RANK_STACK_INODE,
    RANK_STACK_CHANGE,
    RANK_FS_RENAME,  /* one rename at a time a file system */
    RANK_INODE_DIR,  /* parent directory, before */
    RANK_INODE,      /* any other inode */
    RANK_TTY,
    RANK_FUTEX_PI,   /* may touch guest memory */
    RANK_MM,         /* a process's VMAs */
    RANK_VM_OBJECT,  /* pages of a shared mapping */
    RANK_PAGE_CACHE, /* filling of pages */
    RANK_FS_COMMIT,  /* making a file system durable */
    RANK_FS_PRIVATE, /* a file system's own */
    RANK_IO,
    /* spinlocks */
    RANK_PROC_TABLE,
    RANK_PROC,
    RANK_SIGNAL,
    RANK_FD_TABLE,
    RANK_DCACHE,
    RANK_INODE_DATA, /* page maps, inode tables, file locks */
    RANK_CACHE_LRU,
    RANK_NET_GC, /* sockets that are on their way in sockets */
    RANK_NET,    /* who is connected to whom */
    RANK_PIPE,
    RANK_EVENT,
    RANK_FUTEX,
    RANK_VM_RANGE,
    RANK_WAIT,
    RANK_TIMER,
    RANK_RUNQUEUE,
    RANK_FAMILY, /* taken while a run queue is searched */
    RANK_RING,
    RANK_HEAP,
    RANK_PAGES,
    RANK_LOG,
};

/* Nothing may be held here: a sleep, a host call. Debug builds assert it. */
#ifdef OCCLUM_DEBUG
void lock_assert_none(const char *what);
#else
#define lock_assert_none(what) ((void)0)
#endif
/* The one exception: memory for the kernel itself, which is wanted under any lock. */
int lock_add_pages(uint64_t address, uint64_t count);

struct LOCK_TYPE("spinlock") spinlock {
    _Atomic uint32_t held;
    uint32_t rank; /* enum lock_rank */
};
#define SPINLOCK_INIT(r)                                                                       \
    {                                                                                          \
        0, (r)                                                                                 \
    }

void spin_init(struct spinlock *l, enum lock_rank rank);
void spin_lock(struct spinlock *l) ACQUIRES(*l);
bool spin_trylock(struct spinlock *l) TRY_ACQUIRES(true, *l);
void spin_unlock(struct spinlock *l) RELEASES(*l);

struct task;
struct LOCK_TYPE("mutex") mutex {
    struct spinlock lock;
    struct task *owner;
    struct list waiters;
    uint32_t rank;
};

void mutex_init(struct mutex *m, enum lock_rank rank);
void mutex_lock(struct mutex *m) ACQUIRES(*m);
bool mutex_trylock(struct mutex *m) TRY_ACQUIRES(true, *m);
void mutex_unlock(struct mutex *m) RELEASES(*m);
bool mutex_held(const struct mutex *m); /* by the caller */
