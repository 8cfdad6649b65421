/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Kernel stacks: fixed slots with an unmapped guard below each. Freed slots stay mapped and are
 * handed out again, scrubbed.
 */
#include "abi/errno.h"
#include "enclave/boot.h"
#include "enclave/pages.h"
#include "lib/alloc.h"
#include "lib/string.h"
#include "sched/lock.h"
#include "sched/task.h"
#include "sched/vector.h"

#define SLOT_BYTES (2ull * KERNEL_STACK_BYTES)

void task_first(void); /* switch.S */

struct free_stack {
    struct free_stack *next;
};

static struct spinlock stack_lock = SPINLOCK_INIT(RANK_HEAP);
static struct free_stack *free_stacks GUARDED_BY(stack_lock);
static uint64_t slots_used GUARDED_BY(stack_lock);

static void *stack_alloc(void)
{
    spin_lock(&stack_lock);
    struct free_stack *f = free_stacks;
    uint64_t at = enclave.stack_start + slots_used * SLOT_BYTES;
    if (f)
        free_stacks = f->next;
    else if (at + SLOT_BYTES <= enclave.stack_end)
        slots_used++;
    else
        at = 0;
    spin_unlock(&stack_lock);
    if (f)
        return f;
    uint64_t stack = at + SLOT_BYTES - KERNEL_STACK_BYTES;
    if (!at || enclave_pages_add(stack, KERNEL_STACK_BYTES / PAGE_SIZE))
        return NULL;
    return (void *)stack;
}

static void stack_free(void *stack)
{
    struct free_stack *f = stack;

    memset(stack, 0, KERNEL_STACK_BYTES);
    spin_lock(&stack_lock);
    f->next = free_stacks;
    free_stacks = f;
    spin_unlock(&stack_lock);
}

/* What task_switch() pops: six registers, then its return address. Seven words below the
 * aligned frame, so that the stack is aligned when task_first() makes its call. */
struct first_frame {
    uint64_t registers[6];
    void (*start)(void);
};

int task_init(struct task *t, void (*entry)(void *arg), void *arg)
{
    t->stack = stack_alloc();
    if (!t->stack)
        return -ENOMEM;
    t->vector = kzalloc(VECTOR_BYTES_MAX);
    if (!t->vector) {
        stack_free(t->stack);
        return -ENOMEM;
    }
    t->stack_top = (uint64_t)t->stack + KERNEL_STACK_BYTES;
    memset(task_regs(t), 0, sizeof(struct regs));
    struct first_frame *f = (struct first_frame *)task_regs(t) - 1;
    *f = (struct first_frame){.start = task_first};
    t->rsp = (uint64_t)f;
    t->entry = entry;
    t->arg = arg;
    t->base.weight = t->weight = WEIGHT_UNIT;
    t->burst_ns = QUANTUM_NS; /* nothing is known of it yet */
    vector_reset(t);
    atomic_store(&t->state, TASK_RUNNABLE);
    return 0;
}

void task_fini(struct task *t)
{
    stack_free(t->stack);
    kfree(t->vector);
}
