/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys, ids and permissions of System V IPC. */
#include "ipc/sysv.h"

#include "abi/errno.h"
#include "fs/core/cred.h"
#include "sched/task.h"
#include "time/time.h"

#define INDEX(id) ((uint64_t)(id) & ((1u << IPC_INDEX_BITS) - 1))

int64_t ipc_now(void)
{
    return (int64_t)(clock_realtime_ns() / NS_PER_SEC);
}

static int permit(const struct ipc_object *o, uint32_t wanted)
{
    const struct cred *c = current->cred;
    uint32_t granted = o->perm.mode;
    wanted = wanted >> 6 | wanted >> 3 | wanted;
    if (c->euid == o->perm.cuid || c->euid == o->perm.uid)
        granted >>= 6;
    else if (cred_in_group(c, o->perm.cgid) || cred_in_group(c, o->perm.gid))
        granted >>= 3;
    return (wanted & ~granted & 7) && !cred_can(c, CAP_IPC_OWNER) ? -EACCES : 0;
}

static int owner(const struct ipc_object *o)
{
    uint32_t me = current->cred->euid;
    return !cred_can(current->cred, CAP_SYS_ADMIN) && me != o->perm.cuid && me != o->perm.uid
               ? -EPERM
               : 0;
}

int ipc_set_perm(struct ipc_object *o, const struct abi_ipc_perm *p)
{
    if (p->uid == UINT32_MAX || p->gid == UINT32_MAX)
        return -EINVAL;
    o->perm.uid = p->uid;
    o->perm.gid = p->gid;
    o->perm.mode = (o->perm.mode & ~0777u) | (p->mode & 0777);
    return 0;
}

void ipc_put(struct ipc_table *t, struct ipc_object *o)
{
    if (o && atomic_fetch_sub(&o->refs, 1) == 1)
        t->free(o);
}

static struct ipc_object *find_key(struct ipc_table *t, int key) HELD(t->lock)
{
    struct ipc_object *o;
    for (uint64_t i = 0; (o = radix_next(&t->objects, &i)) != NULL; i++) {
        if (o->perm.key == key)
            return o;
    }
    return NULL;
}

/* The lowest free index; the ids of its users differ by a sequence number. */
static int insert(struct ipc_table *t, struct ipc_object *o) HELD(t->lock)
{
    uint64_t index = 0;
    if (t->objects.count >= t->limit)
        return -ENOSPC;
    while (radix_get(&t->objects, index))
        index++;
    int r = radix_set(&t->objects, index, o);
    if (r)
        return r;
    o->perm.seq = t->seq++ & 0x7fff;
    o->id = (int)((uint32_t)o->perm.seq << IPC_INDEX_BITS | index);
    return o->id;
}

static int found(const struct ipc_get *g, struct ipc_object *o)
{
    if ((g->flags & IPC_CREAT) && (g->flags & IPC_EXCL))
        return -EEXIST;
    int r = g->fits ? g->fits(o, g->size) : 0;
    if (!r)
        r = permit(o, (uint32_t)g->flags & 0777);
    return r ? r : o->id;
}

static int look_up(struct ipc_table *t, const struct ipc_get *g)
{
    int r = -ENOENT;
    if (g->key == IPC_PRIVATE)
        return r;
    spin_lock(&t->lock);
    struct ipc_object *o = find_key(t, g->key);
    if (o)
        r = found(g, o);
    spin_unlock(&t->lock);
    return r;
}

int ipc_get(struct ipc_table *t, const struct ipc_get *g)
{
    struct ipc_object *fresh, *o;
    int r = look_up(t, g);
    if (r != -ENOENT || (g->key != IPC_PRIVATE && !(g->flags & IPC_CREAT)))
        return r;
    r = g->make(g->size, &fresh);
    if (r)
        return r;
    const struct cred *c = current->cred;
    atomic_store(&fresh->refs, 1);
    fresh->perm = (struct abi_ipc_perm){.key = g->key,
                                        .uid = c->euid,
                                        .gid = c->egid,
                                        .cuid = c->euid,
                                        .cgid = c->egid,
                                        .mode = (uint32_t)g->flags & 0777};
    spin_lock(&t->lock);
    o = g->key == IPC_PRIVATE ? NULL : find_key(t, g->key);
    r = o ? found(g, o) : insert(t, fresh);
    bool unused = o || r < 0;
    spin_unlock(&t->lock);
    if (unused)
        ipc_put(t, fresh);
    return r;
}

static struct ipc_object *checked(struct ipc_table *t, struct ipc_object *o, uint32_t wanted,
                                  int *e) UNCHECKED_LOCKING
{
    *e = o ? permit(o, wanted) : -EINVAL;
    if (*e)
        spin_unlock(&t->lock);
    return *e ? NULL : o;
}

/* Locked where it finds one: more than the analysis can follow. */
struct ipc_object *ipc_lock(struct ipc_table *t, int id, uint32_t permissions,
                            int *e) UNCHECKED_LOCKING
{
    spin_lock(&t->lock);
    struct ipc_object *o = id < 0 ? NULL : radix_get(&t->objects, INDEX(id));
    return checked(t, o && o->id == id ? o : NULL, permissions, e);
}

struct ipc_object *ipc_lock_stat(struct ipc_table *t, int id, int command, int kind,
                                 int *e) UNCHECKED_LOCKING
{
    if (command == IPC_STAT)
        return ipc_lock(t, id, 0444, e);
    spin_lock(&t->lock);
    struct ipc_object *o = id < 0 ? NULL : radix_get(&t->objects, INDEX(id));
    return checked(t, o, command == kind ? 0444 : 0, e);
}

struct ipc_object *ipc_lock_owned(struct ipc_table *t, int id, int *e) UNCHECKED_LOCKING
{
    struct ipc_object *o = ipc_lock(t, id, 0, e);

    *e = o ? owner(o) : *e;
    if (o && *e)
        spin_unlock(&t->lock);
    return *e ? NULL : o;
}

void ipc_unlock(struct ipc_table *t) UNCHECKED_LOCKING
{
    spin_unlock(&t->lock);
}

void ipc_remove(struct ipc_table *t, struct ipc_object *o)
{
    (void)radix_remove(&t->objects, INDEX(o->id));
    o->removed = true;
}

int ipc_highest(struct ipc_table *t)
{
    uint64_t highest = 0;
    spin_lock(&t->lock);
    for (uint64_t i = 0; radix_next(&t->objects, &i) != NULL; i++)
        highest = i;
    spin_unlock(&t->lock);
    return (int)highest;
}
