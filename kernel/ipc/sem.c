/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System V semaphores. A call's operations happen together or not at all: it tries, under the
 * table's lock, and sleeps on its array's queue until something has changed. What SEM_UNDO asks
 * for is kept with the process and the array, both of which may end first.
 */
#include "abi/errno.h"
#include "ipc/sysv.h"
#include "lib/list.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "sched/task.h"
#include "sched/wait.h"
#include "signal/signal.h"

#define PER_ARRAY_MAX 32000u
#define VALUE_MAX     32767

struct semaphore {
    uint16_t value;
    int pid; /* who changed it last */
};

struct array {
    struct ipc_object object; /* first */
    uint32_t count;           /* const */
    struct semaphore *sems;   /* const; what it points to: the table's lock */
    int64_t operate_time, change_time;
    struct list undo;    /* struct undo.in_array */
    struct list waiting; /* struct sleeper */
    struct wait_queue changed;
};

/* What a process's end adds to an array's values; under the table's lock. */
struct undo {
    struct list in_process, in_array; /* empty in_array: the array is gone */
    struct array *array;
    int16_t adjust[];
};

/* A call that waits, for GETNCNT and GETZCNT. */
struct sleeper {
    struct list node;
    const struct abi_sembuf *blocked_by;
};

static void array_free(struct ipc_object *o)
{
    struct array *a = container_of(o, struct array, object);
    kfree(a->sems);
    kfree(a);
}

static struct ipc_table table = IPC_TABLE_INIT(IPC_MAX, array_free);

static struct array *array_of(struct ipc_object *o)
{
    return container_of(o, struct array, object);
}

static int fits(struct ipc_object *o, uint64_t count)
{
    return count > array_of(o)->count ? -EINVAL : 0;
}

static int make(uint64_t count, struct ipc_object **out)
{
    if (!count)
        return -EINVAL;
    struct array *a = kzalloc(sizeof(*a));
    struct semaphore *sems = kcalloc(count, sizeof(*sems));
    if (!a || !sems) {
        kfree(a);
        kfree(sems);
        return -ENOMEM;
    }
    a->sems = sems;
    a->count = (uint32_t)count;
    a->change_time = ipc_now();
    list_init(&a->undo);
    list_init(&a->waiting);
    wait_queue_init(&a->changed);
    *out = &a->object;
    return 0;
}

int64_t sem_get(int key, int count, int flags)
{
    struct ipc_get g = {.key = key, .flags = flags, .fits = fits, .make = make};
    if (count < 0 || (uint32_t)count > PER_ARRAY_MAX)
        return -EINVAL;
    g.size = (uint64_t)count;
    return ipc_get(&table, &g);
}

/* ---- operations ---- */

struct call {
    struct array *array;
    const struct abi_sembuf *ops;
    unsigned count;
    struct undo *undo; /* NULL: nothing is to be undone */
    struct sleeper sleeper;
};

/* 0; -EAGAIN: it would have to wait for .blocked_by; -ERANGE. Changes values. */
static int try_one(struct call *c, const struct abi_sembuf *op) HELD(table.lock)
{
    struct semaphore *s = &c->array->sems[op->num];
    int value = s->value + op->op;
    if (op->op == 0 ? s->value != 0 : value < 0) {
        c->sleeper.blocked_by = op;
        return -EAGAIN;
    }
    if (value > VALUE_MAX)
        return -ERANGE;
    if (op->flags & SEM_UNDO) {
        int adjust = c->undo->adjust[op->num] - op->op;
        if (adjust < -VALUE_MAX - 1 || adjust > VALUE_MAX)
            return -ERANGE;
        c->undo->adjust[op->num] = (int16_t)adjust;
    }
    s->value = (uint16_t)value;
    return 0;
}

static void take_back(struct call *c, unsigned done) HELD(table.lock)
{
    while (done--) {
        const struct abi_sembuf *op = &c->ops[done];
        c->array->sems[op->num].value -= (uint16_t)op->op;
        if (op->flags & SEM_UNDO)
            c->undo->adjust[op->num] += op->op;
    }
}

static int try_all(struct call *c) HELD(table.lock)
{
    bool changed = false;
    for (unsigned i = 0; i < c->count; i++) {
        int e = try_one(c, &c->ops[i]);
        if (e) {
            take_back(c, i);
            return e;
        }
        changed |= c->ops[i].op != 0;
    }
    for (unsigned i = 0; i < c->count; i++)
        c->array->sems[c->ops[i].num].pid = current->tgid;
    c->array->operate_time = ipc_now();
    if (changed)
        wait_wake_all(&c->array->changed);
    return 0;
}

/* The result once it is known; -EAGAIN: wait, and count as waiting. */
static int attempt(struct call *c)
{
    spin_lock(&table.lock);
    list_remove(&c->sleeper.node);
    int e = c->array->object.removed ? -EIDRM : try_all(c);
    if (e == -EAGAIN && !(c->sleeper.blocked_by->flags & IPC_NOWAIT))
        list_append(&c->array->waiting, &c->sleeper.node);
    spin_unlock(&table.lock);
    return e;
}

static int run(struct call *c, uint64_t deadline)
{
    int e = attempt(c);
    if (e != -EAGAIN || (c->sleeper.blocked_by->flags & IPC_NOWAIT))
        return e;
    int r = wait_event(&c->array->changed, (e = attempt(c)) != -EAGAIN, deadline);
    spin_lock(&table.lock);
    list_remove(&c->sleeper.node);
    spin_unlock(&table.lock);
    if (e != -EAGAIN)
        return e;
    return r == -ETIMEDOUT ? -EAGAIN : -EINTR; /* it is never restarted */
}

static struct undo *find_undo(struct list *undo, const struct array *a) HELD(table.lock)
{
    struct undo *u;
    list_for_each (u, undo, in_process) {
        if (u->array == a)
            return u;
    }
    return NULL;
}

/* The process's adjustments of the array, made on first use. */
static int get_undo(struct call *c, struct list *undo)
{
    struct undo *fresh = kzalloc(sizeof(*fresh) + c->array->count * sizeof(fresh->adjust[0]));
    if (!fresh)
        return -ENOMEM;
    spin_lock(&table.lock);
    int e = c->array->object.removed ? -EIDRM : 0;
    c->undo = e ? NULL : find_undo(undo, c->array);
    if (!e && !c->undo) {
        c->undo = fresh;
        fresh->array = c->array;
        list_append(undo, &fresh->in_process);
        list_append(&c->array->undo, &fresh->in_array);
        fresh = NULL;
    }
    spin_unlock(&table.lock);
    kfree(fresh);
    return e;
}

int sem_operate(int id, const struct abi_sembuf *ops, unsigned count, uint64_t deadline_ns,
                struct list *undo)
{
    struct call c = {.ops = ops, .count = count};
    uint32_t permissions = 0444, highest = 0;
    bool undone = false;
    int e;
    list_init(&c.sleeper.node);
    for (unsigned i = 0; i < count; i++) {
        highest = MAX(highest, (uint32_t)ops[i].num);
        undone |= ops[i].flags & SEM_UNDO;
        if (ops[i].op)
            permissions = 0222;
    }
    struct ipc_object *o = ipc_lock(&table, id, permissions, &e);
    if (!o)
        return e;
    c.array = array_of(o);
    atomic_fetch_add(&o->refs, 1);
    ipc_unlock(&table);
    e = highest >= c.array->count ? -EFBIG : 0;
    if (!e && undone)
        e = get_undo(&c, undo);
    if (!e)
        e = run(&c, deadline_ns);
    ipc_put(&table, o);
    return e;
}

static void undo_one(struct array *a, const struct undo *u) HELD(table.lock)
{
    for (uint32_t i = 0; i < a->count; i++) {
        int value = a->sems[i].value + u->adjust[i];
        if (!u->adjust[i])
            continue;
        a->sems[i].value = (uint16_t)(value < 0 ? 0 : MIN(value, VALUE_MAX));
        a->sems[i].pid = current->tgid;
    }
    a->operate_time = ipc_now();
    wait_wake_all(&a->changed);
}

void sem_undo_all(struct list *undo)
{
    struct list *n;
    spin_lock(&table.lock);
    while ((n = list_pop(undo)) != NULL) {
        struct undo *u = list_entry(n, struct undo, in_process);
        if (u->array)
            undo_one(u->array, u);
        list_remove(&u->in_array);
        spin_unlock(&table.lock);
        kfree(u);
        spin_lock(&table.lock);
    }
    spin_unlock(&table.lock);
}

/* ---- semctl ---- */

static int64_t stat(int id, int command, uaddr_t buffer)
{
    int e;
    struct ipc_object *o = ipc_lock_stat(&table, id, command, SEM_STAT, &e);
    if (!o)
        return e;
    struct array *a = array_of(o);
    struct abi_semid d = {
        .perm = o->perm, .otime = a->operate_time, .ctime = a->change_time, .nsems = a->count};
    int result = command == IPC_STAT ? 0 : o->id;
    ipc_unlock(&table);
    return copy_to_user(buffer, &d, sizeof(d)) ? -EFAULT : result;
}

static int set(int id, uaddr_t buffer)
{
    struct abi_semid d;
    int e = copy_from_user(&d, buffer, sizeof(d));
    struct ipc_object *o = e ? NULL : ipc_lock_owned(&table, id, &e);
    if (!o)
        return e;
    e = ipc_set_perm(o, &d.perm);
    if (!e)
        array_of(o)->change_time = ipc_now();
    ipc_unlock(&table);
    return e;
}

static int array_remove(int id)
{
    struct list *n;
    int e;
    struct ipc_object *o = ipc_lock_owned(&table, id, &e);
    if (!o)
        return e;
    struct array *a = array_of(o);
    ipc_remove(&table, o);
    while ((n = list_pop(&a->undo)) != NULL)
        list_entry(n, struct undo, in_array)->array = NULL;
    wait_wake_all(&a->changed);
    ipc_unlock(&table);
    ipc_put(&table, o);
    return 0;
}

static int64_t info(int command, uaddr_t buffer)
{
    struct abi_seminfo i = {.semmap = 1024000000,
                            .semmni = IPC_MAX,
                            .semmns = 1024000000,
                            .semmnu = 1024000000,
                            .semmsl = PER_ARRAY_MAX,
                            .semopm = 500,
                            .semume = 500,
                            .semusz = 20,
                            .semvmx = VALUE_MAX,
                            .semaem = VALUE_MAX};
    struct ipc_object *o;
    if (command == SEM_INFO) {
        spin_lock(&table.lock);
        i.semusz = (int32_t)table.objects.count;
        i.semaem = 0;
        for (uint64_t k = 0; (o = radix_next(&table.objects, &k)) != NULL; k++)
            i.semaem += (int32_t)array_of(o)->count;
        spin_unlock(&table.lock);
    }
    return copy_to_user(buffer, &i, sizeof(i)) ? -EFAULT : ipc_highest(&table);
}

/* A value that was set counts for nobody's undoing. */
static void set_value(struct array *a, uint32_t num, uint16_t value) HELD(table.lock)
{
    struct undo *u;
    list_for_each (u, &a->undo, in_array)
        u->adjust[num] = 0;
    a->sems[num].value = value;
    a->sems[num].pid = current->tgid;
    a->change_time = ipc_now();
}

static int count_waiting(struct array *a, int num, bool zero) HELD(table.lock)
{
    struct sleeper *s;
    int n = 0;
    list_for_each (s, &a->waiting, node)
        n += s->blocked_by->num == num && (s->blocked_by->op == 0) == zero;
    return n;
}

static int64_t one(int id, int num, int command, int value) UNCHECKED_LOCKING
{
    int64_t r;
    int e;
    struct ipc_object *o = ipc_lock(&table, id, command == SETVAL ? 0222 : 0444, &e);
    if (!o)
        return e;
    struct array *a = array_of(o);
    if (num < 0 || (uint32_t)num >= a->count)
        r = -EINVAL;
    else if (command == SETVAL && (value < 0 || value > VALUE_MAX))
        r = -ERANGE;
    else if (command == SETVAL) {
        set_value(a, (uint32_t)num, (uint16_t)value);
        wait_wake_all(&a->changed);
        r = 0;
    } else if (command == GETVAL) {
        r = a->sems[num].value;
    } else if (command == GETPID) {
        r = a->sems[num].pid;
    } else {
        r = count_waiting(a, num, command == GETZCNT);
    }
    ipc_unlock(&table);
    return r;
}

static int apply_all(struct array *a, const uint16_t *values) HELD(table.lock)
{
    for (uint32_t i = 0; i < a->count; i++) {
        if (values[i] > VALUE_MAX)
            return -ERANGE;
    }
    for (uint32_t i = 0; i < a->count; i++)
        set_value(a, i, values[i]);
    wait_wake_all(&a->changed);
    return 0;
}

static int all(int id, int command, uaddr_t at)
{
    int e;
    struct ipc_object *o = ipc_lock(&table, id, command == SETALL ? 0222 : 0444, &e);
    if (!o)
        return e;
    struct array *a = array_of(o);
    atomic_fetch_add(&o->refs, 1);
    ipc_unlock(&table);
    size_t size = a->count * sizeof(uint16_t);
    uint16_t *values = kmalloc(size);
    if (!values)
        e = -ENOMEM;
    else if (command == SETALL)
        e = copy_from_user(values, at, size);
    if (!e) {
        spin_lock(&table.lock);
        if (o->removed)
            e = -EIDRM;
        else if (command == SETALL)
            e = apply_all(a, values);
        for (uint32_t i = 0; !e && command == GETALL && i < a->count; i++)
            values[i] = a->sems[i].value;
        spin_unlock(&table.lock);
    }
    if (!e && command == GETALL)
        e = copy_to_user(at, values, size);
    kfree(values);
    ipc_put(&table, o);
    return e;
}

int64_t sem_control(int id, int num, int command, uint64_t arg)
{
    switch (command & ~IPC_64) {
    case IPC_STAT:
    case SEM_STAT:
    case SEM_STAT_ANY:
        return stat(id, command & ~IPC_64, arg);
    case IPC_SET:
        return set(id, arg);
    case IPC_RMID:
        return array_remove(id);
    case IPC_INFO:
    case SEM_INFO:
        return info(command & ~IPC_64, arg);
    case GETALL:
    case SETALL:
        return all(id, command & ~IPC_64, arg);
    case GETVAL:
    case GETPID:
    case GETNCNT:
    case GETZCNT:
    case SETVAL:
        return one(id, num, command & ~IPC_64, (int)arg);
    default:
        return -EINVAL;
    }
}
