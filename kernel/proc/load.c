/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Maps a program, its interpreter and its stack into a fresh address space, each at a random
 * place. The headers have been checked by elf.c; the mappings check the rest.
 */
#include "abi/errno.h"
#include "fs/core/file.h"
#include "lib/string.h"
#include "mm/vm.h"
#include "proc/exec.h"
#include "sched/family.h"

#define STACK_MIN   (132ull << 10)
#define STACK_MAX   (1ull << 30)
#define STACK_GUARD (256ull << 10)
#define STACK_FIRST (32ull << 10) /* brought in at once */
#define HEAP_ROOM   (128ull << 20)
#define HEAP_SMALL  (8ull << 20) /* where there is no room for that */
#define PLACE_TRIES 8

static int reserve_at(struct mm *mm, uaddr_t at, uint64_t length)
{
    struct vm_map_args a = {
        .address = at,
        .length = length,
        .prot = PROT_NONE,
        .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
    };
    int64_t r = vm_map(mm, &a);
    return r < 0 ? (int)r : 0;
}

/* Reserves a random range; the address in *at. */
static int reserve(struct mm *mm, uint64_t length, uint64_t align, uaddr_t *at)
{
    for (int i = 0; i < PLACE_TRIES; i++) {
        int64_t r = vm_find_random(mm, length, align);
        if (r < 0)
            return (int)r;
        *at = (uaddr_t)r;
        r = reserve_at(mm, *at, length);
        if (r != -EEXIST)
            return (int)r;
    }
    return -ENOMEM;
}

static int map_fixed(struct mm *mm, struct vm_map_args a)
{
    a.flags |= MAP_PRIVATE | MAP_FIXED;
    int64_t r = vm_map(mm, &a);
    return r < 0 ? (int)r : 0;
}

static int map_segment(struct mm *mm, struct file *f, const struct elf_segment *s,
                       uint64_t bias)
{
    uaddr_t start = align_down(s->vaddr + bias, PAGE_SIZE);
    uaddr_t file_end = align_up(s->vaddr + bias + s->file_size, PAGE_SIZE);
    uaddr_t end = align_up(s->vaddr + bias + s->mem_size, PAGE_SIZE);
    uint64_t lead = s->vaddr + bias - start;
    int r = 0;

    if (!s->file_size)
        file_end = start;
    if (file_end > start) {
        struct vm_map_args a = {
            .address = start,
            .length = file_end - start,
            .prot = s->prot,
            .file = f,
            .file_ops = f->ops->vm,
            .offset = s->offset - lead,
        };
        if (s->mem_size > s->file_size)
            a.file_limit = lead + s->file_size;
        r = map_fixed(mm, a);
    }
    if (!r && end > file_end) {
        struct vm_map_args a = {
            .address = file_end,
            .length = end - file_end,
            .prot = s->prot,
            .flags = MAP_ANONYMOUS,
        };
        r = map_fixed(mm, a);
    }
    return r;
}

/* What lies between segments was only reserved. */
static int unmap_gap(struct mm *mm, const struct elf_image *im, uint32_t i, uint64_t bias)
{
    if (i + 1 >= im->segment_count)
        return 0;
    uaddr_t from = align_up(im->segment[i].vaddr + im->segment[i].mem_size, PAGE_SIZE);
    uaddr_t to = align_down(im->segment[i + 1].vaddr, PAGE_SIZE);
    return to > from ? vm_unmap(mm, from + bias, to - from) : 0;
}

/* Programs below this size get a place that none had before, and their pages with it. */
#define SMALL_PROGRAM (1ull << 20)

/* A place for the whole of it: where the headers say, or anywhere. */
static int place_image(struct mm *mm, struct file *f, const struct elf_image *im, bool program,
                       uaddr_t *at)
{
    uint64_t length = im->end - im->start;
    *at = im->start;
    if (im->fixed)
        return vm_claim_image(mm, f, f->ops->vm, *at, length);
    bool fresh = program && length <= SMALL_PROGRAM;
    int64_t place = fresh ? vm_find_random(mm, length, im->align)
                          : vm_find_image(mm, f, f->ops->vm, length, im->align);
    if (place < 0)
        return (int)place;
    *at = (uaddr_t)place;
    if (fresh)
        vm_prepare(mm, *at, length);
    return 0;
}

static int map_image(struct mm *mm, struct file *f, const struct elf_image *im, bool program,
                     uint64_t *bias)
{
    uaddr_t at;
    if (!f->ops->vm)
        return -ENODEV;
    int r = place_image(mm, f, im, program, &at);
    if (r)
        return r;
    *bias = at - im->start;
    for (uint32_t i = 0; i < im->segment_count && !r; i++) {
        r = map_segment(mm, f, &im->segment[i], *bias);
        if (!r)
            r = unmap_gap(mm, im, i, *bias);
    }
    return r;
}

static int map_stack(struct exec *e)
{
    uint64_t size = process_limit(current_process, RLIMIT_STACK);
    uaddr_t at = 0;
    size = align_up(MIN(MAX(size, STACK_MIN), STACK_MAX), PAGE_SIZE);
    int r = reserve(e->mm, size + STACK_GUARD, PAGE_SIZE, &at);
    if (r)
        return r;
    struct vm_map_args a = {
        .address = at + STACK_GUARD,
        .length = size,
        .prot = PROT_READ | PROT_WRITE | (e->image->exec_stack ? PROT_EXEC : 0),
        .flags = MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK,
        .name = "[stack]",
    };
    e->stack_low = at + STACK_GUARD;
    e->stack_top = at + STACK_GUARD + size;
    r = map_fixed(e->mm, a);
    return r ? r : vm_populate(e->mm, e->stack_top - STACK_FIRST, STACK_FIRST);
}

static void note_layout(struct exec *e)
{
    struct mm_layout *l = mm_layout(e->mm);
    const struct elf_image *im = e->image;
    for (uint32_t i = 0; i < im->segment_count; i++) {
        const struct elf_segment *s = &im->segment[i];
        uaddr_t start = s->vaddr + e->bias, end = start + s->file_size;
        if ((s->prot & PROT_EXEC) && !l->code_start) {
            l->code_start = start;
            l->code_end = end;
        }
        if (s->prot & PROT_WRITE) {
            l->data_start = start;
            l->data_end = end;
        }
    }
    l->vdso = e->vdso;
}

static int map_all(struct exec *e)
{
    struct process *p = current_process;
    int r = map_image(e->mm, e->file, e->image, true, &e->bias);
    e->entry = e->image->entry + e->bias;
    if (!r && e->interp) {
        r = map_image(e->mm, e->interp_file, e->interp, false, &e->interp_bias);
        e->entry = e->interp->entry + e->interp_bias;
    }
    if (!r)
        r = map_stack(e);
    if (!r)
        r = vdso_map(e->mm, &e->vdso);
    int64_t heap = r ? r : vm_find_random(e->mm, HEAP_ROOM, PAGE_SIZE);
    if (!r && heap < 0)
        heap = vm_find_random(e->mm, HEAP_SMALL, PAGE_SIZE);
    if (heap < 0)
        return (int)heap;
    r = vm_brk_init(e->mm, (uaddr_t)heap);
    if (r)
        return r;
    mm_layout(e->mm)->brk_start = (uaddr_t)heap;
    vm_set_limits(e->mm, process_limit(p, RLIMIT_AS), process_limit(p, RLIMIT_DATA),
                  process_limit(p, RLIMIT_STACK));
    note_layout(e);
    return 0;
}

int load_program(struct exec *e)
{
    int r = mm_new(&e->mm);
    if (r)
        return r;
    /* Another exec may come to live at the same addresses at any time: who builds a memory can
     * be stopped like one who runs in it. */
    sched_use_mm((struct sched_mm *)e->mm);
    return map_all(e);
}
