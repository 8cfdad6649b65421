/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Core files: stopping the process, and writing it. Other threads are kept still while their
 * registers are copied and told to end before they go on, so that the memory that is then
 * written is what it was. Written is what a program can have changed, and the first page of
 * each mapped file, by which debuggers know it; pages that were never touched become holes.
 */
#include "proc/core.h"

#include <elf.h>

#include "abi/errno.h"
#include "enclave/config.h"
#include "fs/core/fd.h"
#include "fs/core/file.h"
#include "fs/core/inode.h"
#include "fs/core/mount.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "mm/vm.h"
#include "proc/internal.h"
#include "sched/vector.h"

#define AREAS_MAX   65000u /* LIMIT: further ones are not written; e_phnum has 16 bits */
#define THREADS_MAX 4096u  /* LIMIT: the registers of further ones are not written */
#define CHUNK_PAGES 16u

void *core_append(struct core_bytes *b, const void *from, size_t size)
{
    if (!b->failed && b->room - b->used < size) {
        size_t room = MAX(2 * b->room, b->used + size + 4096);
        char *bytes = kmalloc(room);
        if (bytes && b->used)
            memcpy(bytes, b->bytes, b->used);
        kfree(b->bytes);
        b->bytes = bytes;
        b->room = room;
        b->failed = !bytes;
    }
    if (b->failed)
        return NULL;
    void *to = b->bytes + b->used;
    if (from)
        memcpy(to, from, size);
    else
        memset(to, 0, size);
    b->used += size;
    return to;
}

/* ---- the threads ---- */

static void copy_thread(struct core_thread *to, struct thread *t, uint64_t group_pending)
{
    to->regs = *task_regs(&t->task);
    to->fs_base = t->task.fs_base;
    to->tid = t->task.tid;
    to->pending = t->signals.pending.set | group_pending;
    to->blocked = t->signals.blocked;
    to->cpu_ns = task_cpu_charged(&t->task);
    if (t->task.vector_saved)
        memcpy(to->vector, t->task.vector, vector_used(t->task.vector));
}

static void copy_threads(struct core *c)
{
    struct process *p = c->process;
    struct thread *t;
    copy_thread(core_thread_at(c, 0), current_thread, p->signals.pending.set);
    __asm__ volatile("rdfsbase %0" : "=r"(core_thread_at(c, 0)->fs_base));
    c->thread_count = 1;
    spin_lock(&proc_lock);
    list_for_each (t, &p->threads, node) {
        if (&t->task != current && c->thread_count < c->thread_room)
            copy_thread(core_thread_at(c, c->thread_count++), t, p->signals.pending.set);
    }
    spin_unlock(&proc_lock);
}

static int stop_threads(struct core *c, int wait_status)
{
    struct sched_mm *mm = (struct sched_mm *)current->mm;
    c->thread_room = MIN(c->process->thread_count, THREADS_MAX);
    c->thread_bytes = align_up(sizeof(struct core_thread) + vector_bytes, 8);
    c->threads = kcalloc(c->thread_room, c->thread_bytes);
    if (!c->threads)
        return -ENOMEM;
    vector_save(current);
    sched_freeze(mm);
    copy_threads(c);
    (void)signal_group_kill(&c->process->signals, wait_status, &current_thread->signals);
    sched_thaw(mm);
    return 0;
}

/* ---- the memory ---- */

static uint64_t written_size(const struct vm_info *v)
{
    if (!(v->prot & PROT_READ))
        return 0;
    if (!v->file || v->changed)
        return v->end - v->start;
    return v->offset ? 0 : PAGE_SIZE;
}

static int add_area(const struct vm_info *v, void *arg)
{
    struct core *c = arg;
    struct core_area a = {.start = v->start,
                          .end = v->end,
                          .prot = v->prot,
                          .file_size = written_size(v),
                          .offset = v->offset,
                          .name = UINT32_MAX};
    uint64_t dev, ino;
    if (core_area_count(c) == AREAS_MAX)
        return 0;
    if (v->file && v->file_ops->describe) {
        a.name = (uint32_t)c->names.used;
        char *path = core_append(&c->names, NULL, PATH_MAX);
        if (!path)
            return -ENOMEM;
        v->file_ops->describe(v->file, path, PATH_MAX, &dev, &ino);
        c->names.used -= PATH_MAX - (strnlen(path, PATH_MAX - 1) + 1);
    }
    return core_append(&c->areas, &a, sizeof(a)) ? 0 : -ENOMEM;
}

/* ---- the file ---- */

struct out {
    struct file *file;
    uint64_t limit;
    int error;
};

static void put(struct out *o, const void *from, uint64_t size, uint64_t at)
{
    if (o->error || at >= o->limit)
        return;
    size = MIN(size, o->limit - at);
    ssize_t r = file_write_kernel(o->file, from, size, at);
    if (r != (ssize_t)size)
        o->error = r < 0 ? (int)r : -EIO;
}

static void put_area(struct out *o, const struct core_area *a, uint64_t at, char *buffer)
{
    uint8_t there[CHUNK_PAGES];
    for (uint64_t done = 0; done < a->file_size && !o->error;
         done += sizeof(there) * PAGE_SIZE) {
        uint64_t size = MIN(a->file_size - done, sizeof(there) * PAGE_SIZE);
        if (at + done >= o->limit)
            return;
        if (vm_incore(current->mm, a->start + done, size, there))
            continue;
        for (uint64_t i = 0; i < size / PAGE_SIZE; i++) {
            uint64_t offset = done + i * PAGE_SIZE;
            bool all = there[i] || a->name != UINT32_MAX; /* a file's page may not be in yet */
            if (all && copy_from_user(buffer, a->start + offset, PAGE_SIZE) == 0)
                put(o, buffer, PAGE_SIZE, at + offset);
        }
    }
}

static void put_header(struct out *o, const struct core *c, uint64_t data)
{
    size_t areas = core_area_count(c);
    Elf64_Ehdr e = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_CORE,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof(e),
        .e_ehsize = sizeof(e),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = (uint16_t)(areas + 1)};
    uint64_t at = sizeof(e);
    put(o, &e, sizeof(e), 0);
    Elf64_Phdr note = {.p_type = PT_NOTE,
                       .p_filesz = c->notes.used,
                       .p_align = 4,
                       .p_offset = sizeof(e) + (areas + 1) * sizeof(Elf64_Phdr)};
    put(o, &note, sizeof(note), at);
    for (size_t i = 0; i < areas; i++) {
        const struct core_area *a = core_area_at(c, i);
        Elf64_Phdr load = {.p_type = PT_LOAD,
                           .p_offset = data,
                           .p_vaddr = a->start,
                           .p_filesz = a->file_size,
                           .p_memsz = a->end - a->start,
                           .p_align = PAGE_SIZE,
                           .p_flags = (a->prot & PROT_READ ? PF_R : 0u) |
                                      (a->prot & PROT_WRITE ? PF_W : 0u) |
                                      (a->prot & PROT_EXEC ? PF_X : 0u)};
        put(o, &load, sizeof(load), at += sizeof(load));
        data += a->file_size;
    }
    put(o, c->notes.bytes, c->notes.used, at + sizeof(Elf64_Phdr));
}

static int write_core(struct core *c, struct file *f, uint64_t limit)
{
    struct out o = {.file = f, .limit = limit};
    char *page = kmalloc(PAGE_SIZE);
    size_t head = sizeof(Elf64_Ehdr) + (core_area_count(c) + 1) * sizeof(Elf64_Phdr);
    uint64_t at = align_up(head + c->notes.used, PAGE_SIZE);
    if (!page)
        return -ENOMEM;
    put_header(&o, c, at);
    for (size_t i = 0; i < core_area_count(c) && !o.error; i++) {
        put_area(&o, core_area_at(c, i), at, page);
        at += core_area_at(c, i)->file_size;
    }
    kfree(page);
    return o.error ? o.error : file_truncate(f, MIN(at, limit));
}

static bool to_host(void)
{
    struct path cwd;
    fs_context_cwd(current->fs, &cwd);
    bool yes = strcmp(cwd.mount->sb->type, "hostfs") == 0;
    path_put(&cwd);
    return yes;
}

/* A new file, whatever was there before. */
static int open_core(struct file **out)
{
    if (!(config_get()->flags & CONFIG_FLAG_DEBUGGABLE) && to_host())
        return -EPERM;
    (void)!path_unlink(AT_FDCWD, "core", false);
    return file_open(AT_FDCWD, "core", O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW, 0600, 0, out);
}

bool core_dump(const struct abi_siginfo *info, int wait_status)
{
    struct process *p = current_process;
    struct core c = {.process = p, .info = info};
    uint64_t limit = process_limit(p, RLIMIT_CORE);
    struct file *f;
    if (limit < PAGE_SIZE || !p->dumpable || open_core(&f) < 0)
        return false;
    int r = stop_threads(&c, wait_status);
    if (r == 0)
        r = vm_walk(current->mm, add_area, &c);
    if (r == 0) {
        core_make_notes(&c);
        r = c.notes.failed ? -ENOMEM : write_core(&c, f, limit);
    }
    if (r < 0)
        log_warn("process %d: its core file could not be written (%d)", p->pid, r);
    file_put(f);
    kfree(c.threads);
    kfree(c.areas.bytes);
    kfree(c.names.bytes);
    kfree(c.notes.bytes);
    return r == 0;
}
