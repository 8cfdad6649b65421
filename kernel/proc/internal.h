/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the files of kernel/proc. */
#pragma once

#include "proc/process.h"

struct vfork_wait {
    struct thread *parent; /* who waits */
    _Atomic bool done;
};

/* table.c: with proc_lock held. */
/* No more threads, or processes. `outside`: for a program that nobody inside starts. */
bool table_full_locked(bool process, bool outside) HELD(proc_lock);
int id_alloc_locked(void) HELD(proc_lock);
int id_take_locked(int id) HELD(proc_lock); /* that one; -EEXIST */
struct process *process_lookup_locked(int pid) HELD(proc_lock);
/* The first whose pid is >= *key; NULL: no more. */
struct process *process_next_locked(uint64_t *key) HELD(proc_lock);
int table_add_process_locked(struct process *p) HELD(proc_lock) MUST_CHECK;
int table_add_thread_locked(struct thread *t) HELD(proc_lock) MUST_CHECK;
void table_remove_process_locked(struct process *p) HELD(proc_lock);
void table_remove_thread_locked(struct thread *t) HELD(proc_lock);
/* exec by a thread that is not the first: it becomes the process's namesake. */
int table_rename_thread(struct thread *t, int tid) MUST_CHECK;
uint32_t threads_of_user(uint32_t uid);
void table_init(void);

/* create.c */
struct process *process_new(struct process *parent) MUST_CHECK;
struct thread *thread_new(struct process *p, void (*entry)(void *), void *arg) MUST_CHECK;
/* Gives both their ids and enters them into the tables; *p is NULL for a further thread. */
int thread_publish(struct thread *t, struct process *new_process,
                   struct process *parent) MUST_CHECK;
/* Undoes thread_new() of one that was never published. */
void thread_discard(struct thread *t);
void process_free(struct process *p);

/* exit.c */
void thread_release_mm(struct thread *t); /* robust futexes, clear_child_tid, vfork */
void vfork_finish(struct thread *t);
void process_stop_changed(struct signal_group *g, int sig);
bool process_orphaned(struct signal_group *g);
/* A zombie that its parent has seen leaves the table. */
void process_reap_locked(struct process *p) HELD(proc_lock);
NORETURN void process_terminate(int wait_status);
NORETURN void process_leave(void);

/* timers.c */
void process_timers_init(struct process *p);
void process_timers_exit(struct process *p); /* all */
void process_timers_exec(struct process *p); /* those of timer_create(2) */


