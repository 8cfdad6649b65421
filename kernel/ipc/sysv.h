/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System V IPC: what shared memory, semaphores and message queues have in common - keys, ids
 * and permissions. One spinlock a kind protects its table and all objects in it.
 */
#pragma once

#include <stdatomic.h>

#include "abi/ipc.h"
#include "lib/radix.h"
#include "lib/types.h"
#include "sched/lock.h"

struct file;
struct list;

#define IPC_INDEX_BITS 15
#define IPC_MAX        32000u /* objects of a kind */

/* First in every object; under the table's lock. */
struct ipc_object {
    _Atomic uint32_t refs; /* the table's, and users' */
    int id;
    bool removed;
    struct abi_ipc_perm perm;
};

struct ipc_table {
    struct spinlock lock;
    struct radix objects; /* by the index in their id */
    uint16_t seq;
    uint32_t limit;
    void (*free)(struct ipc_object *o); /* the last reference is gone; may sleep */
};
#define IPC_TABLE_INIT(max, destroy)                                                           \
    {                                                                                          \
        .lock = SPINLOCK_INIT(RANK_EVENT), .limit = (max), .free = (destroy)                   \
    }

/* *get(2): the id of what has the key, or of a new one. `fits` looks at the former (-EINVAL),
 * `make` gives the latter, without a lock. */
struct ipc_get {
    int key, flags;
    uint64_t size;
    int (*fits)(struct ipc_object *o, uint64_t size);
    int (*make)(uint64_t size, struct ipc_object **out);
};
int ipc_get(struct ipc_table *t, const struct ipc_get *g) MUST_CHECK;

/* Locks the table and finds the object, which may be asked for those permissions (0444 to read,
 * 0222 to write). NULL: *e says why, and nothing is locked. */
struct ipc_object *ipc_lock(struct ipc_table *t, int id, uint32_t permissions,
                            int *e) MUST_CHECK;
/* The same for IPC_STAT, or, by index, for the `kind`_STAT of the table and its _STAT_ANY. */
struct ipc_object *ipc_lock_stat(struct ipc_table *t, int id, int command, int kind,
                                 int *e) MUST_CHECK;
/* The same for IPC_SET and IPC_RMID: -EPERM unless the caller owns it. */
struct ipc_object *ipc_lock_owned(struct ipc_table *t, int id, int *e) MUST_CHECK;
void ipc_unlock(struct ipc_table *t);
void ipc_put(struct ipc_table *t, struct ipc_object *o); /* not locked */
/* Locked: takes it out of the table; the caller puts the table's reference. */
void ipc_remove(struct ipc_table *t, struct ipc_object *o);
/* Locked: IPC_SET. */
int ipc_set_perm(struct ipc_object *o, const struct abi_ipc_perm *p) MUST_CHECK;
/* The highest index in use; 0: none. */
int ipc_highest(struct ipc_table *t);
int64_t ipc_now(void); /* seconds */

/* ---- shm.c ---- */
/* Makes files without a name, in memory; set at boot. */
extern int (*ipc_memory_file)(const char *name, uint32_t mode, struct file **out);
int64_t shm_get(int key, uint64_t size, int flags) MUST_CHECK;
int64_t shm_attach(int id, uaddr_t at, int flags) MUST_CHECK;
int shm_detach(uaddr_t at) MUST_CHECK;
int64_t shm_control(int id, int command, uaddr_t buffer) MUST_CHECK;

/* ---- sem.c ---- */
/* What a process's end undoes: struct list of its adjustments. */
int64_t sem_get(int key, int count, int flags) MUST_CHECK;
int sem_operate(int id, const struct abi_sembuf *ops, unsigned count, uint64_t deadline_ns,
                struct list *undo) MUST_CHECK;
int64_t sem_control(int id, int num, int command, uint64_t arg) MUST_CHECK;
void sem_undo_all(struct list *undo);

/* ---- msg.c ---- */
int64_t msg_get(int key, int flags) MUST_CHECK;
int msg_send(int id, uaddr_t buffer, uint64_t size, int flags) MUST_CHECK;
int64_t msg_receive(int id, uaddr_t buffer, uint64_t size, int64_t type, int flags) MUST_CHECK;
int64_t msg_control(int id, int command, uaddr_t buffer) MUST_CHECK;
