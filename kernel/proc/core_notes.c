/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The notes of a core file, as elf.h numbers them and Linux's elfcore.h lays them out: for each
 * thread registers, signals and times; for the process its name, the signal's details, the
 * auxiliary vector and the names of mapped files.
 */
#include <elf.h>

#include "abi/errno.h"
#include "fs/core/cred.h"
#include "lib/string.h"
#include "mm/user.h"
#include "proc/core.h"
#include "sched/vector.h"
#include "time/time.h"

#define SW_XCR0_OFFSET 464 /* where readers of NT_X86_XSTATE look for the components */
#define SEGMENT_CODE   0x33u
#define SEGMENT_DATA   0x2bu

struct seconds {
    int64_t s, us;
};

/* struct elf_prstatus, with user_regs_struct in it */
struct prstatus {
    int32_t signo, code, error;
    int16_t cursig, pad0;
    uint64_t pending, held;
    int32_t pid, ppid, pgrp, sid;
    struct seconds user, system, children_user, children_system;
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8;
    uint64_t rax, rcx, rdx, rsi, rdi, orig_rax;
    uint64_t rip, cs, rflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs;
    int32_t fp_valid, pad1;
};
_Static_assert(sizeof(struct prstatus) == 336, "struct elf_prstatus");

/* struct elf_prpsinfo */
struct prpsinfo {
    char state, letter, zombie, nice;
    uint32_t pad;
    uint64_t flags;
    uint32_t uid, gid;
    int32_t pid, ppid, pgrp, sid;
    char name[16], arguments[80];
};
_Static_assert(sizeof(struct prpsinfo) == 136, "struct elf_prpsinfo");

/* Begins a note; returns where its `size` bytes belong, zeroed. NULL: no memory. */
static void *note(struct core *c, uint32_t type, const char *name, size_t size)
{
    Elf64_Nhdr h = {
        .n_namesz = (uint32_t)strlen(name) + 1, .n_descsz = (uint32_t)size, .n_type = type};
    char padded[8] = "";
    memcpy(padded, name, MIN(strlen(name), sizeof(padded) - 1));
    if (!core_append(&c->notes, &h, sizeof(h)) ||
        !core_append(&c->notes, padded, sizeof(padded)))
        return NULL;
    return core_append(&c->notes, NULL, align_up(size, 4));
}

static struct seconds seconds(uint64_t ns)
{
    return (struct seconds){(int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC / 1000)};
}

static void status_note(struct core *c, const struct core_thread *t)
{
    const struct process *p = c->process;
    struct prstatus *s = note(c, NT_PRSTATUS, "CORE", sizeof(*s));
    if (!s)
        return;
    s->signo = s->cursig = (int16_t)c->info->si_signo;
    s->code = c->info->si_code;
    s->pending = t->pending;
    s->held = t->blocked;
    s->pid = t->tid;
    s->ppid = p->parent_pid;
    s->pgrp = p->pgid;
    s->sid = p->sid;
    s->user = seconds(t->cpu_ns);
    memcpy(&s->r15, &t->regs, offsetof(struct regs, rip)); /* the same order */
    s->rip = t->regs.rip;
    s->rflags = t->regs.rflags;
    s->rsp = t->regs.rsp;
    s->cs = SEGMENT_CODE;
    s->ss = SEGMENT_DATA;
    s->fs_base = t->fs_base;
    s->fp_valid = 1;
}

static void vector_notes(struct core *c, const struct core_thread *t)
{
    char *legacy = note(c, NT_FPREGSET, "CORE", 512);
    if (legacy)
        memcpy(legacy, t->vector, 512);
    char *state = note(c, NT_X86_XSTATE, "LINUX", vector_bytes);
    if (!state)
        return;
    memcpy(state, t->vector, vector_bytes);
    memcpy(state + SW_XCR0_OFFSET, &vector_mask, sizeof(vector_mask));
}

static void process_note(struct core *c)
{
    const struct process *p = c->process;
    struct prpsinfo *s = note(c, NT_PRPSINFO, "CORE", sizeof(*s));
    if (!s)
        return;
    s->letter = 'R';
    s->nice = (char)current->nice;
    s->uid = current->cred->uid;
    s->gid = current->cred->gid;
    s->pid = p->pid;
    s->ppid = p->parent_pid;
    s->pgrp = p->pgid;
    s->sid = p->sid;
    memcpy(s->name, current->name, sizeof(s->name));
    spin_lock(&proc_lock);
    size_t n = MIN(p->cmdline_size, sizeof(s->arguments) - 1);
    memcpy(s->arguments, p->cmdline, n);
    spin_unlock(&proc_lock);
    for (size_t i = 0; i + 1 < n; i++)
        s->arguments[i] = s->arguments[i] ? s->arguments[i] : ' ';
}

static void files_note(struct core *c)
{
    size_t count = 0, names = 0, areas = core_area_count(c);
    for (size_t i = 0; i < areas; i++) {
        const struct core_area *a = core_area_at(c, i);
        if (a->name == UINT32_MAX)
            continue;
        count++;
        names += strlen(c->names.bytes + a->name) + 1;
    }
    uint64_t *at = note(c, NT_FILE, "CORE", 16 + 24 * count + names);
    if (!at)
        return;
    char *name = (char *)(at + 2 + 3 * count);
    *at++ = count;
    *at++ = PAGE_SIZE;
    for (size_t i = 0; i < areas; i++) {
        const struct core_area *a = core_area_at(c, i);
        if (a->name == UINT32_MAX)
            continue;
        *at++ = a->start;
        *at++ = a->end;
        *at++ = a->offset / PAGE_SIZE;
        size_t size = strlen(c->names.bytes + a->name) + 1;
        memcpy(name, c->names.bytes + a->name, size);
        name += size;
    }
}

void core_make_notes(struct core *c)
{
    const struct process *p = c->process;
    status_note(c, core_thread_at(c, 0));
    process_note(c);
    void *info = note(c, NT_SIGINFO, "CORE", sizeof(*c->info));
    if (info)
        memcpy(info, c->info, sizeof(*c->info));
    void *auxv = note(c, NT_AUXV, "CORE", p->auxv_size);
    if (auxv)
        memcpy(auxv, p->auxv, p->auxv_size);
    files_note(c);
    vector_notes(c, core_thread_at(c, 0));
    for (size_t i = 1; i < c->thread_count; i++) {
        status_note(c, core_thread_at(c, i));
        vector_notes(c, core_thread_at(c, i));
    }
}
