/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Gives each process its copy of the vDSO (vdso/vdso.c), with the address of the clock page in
 * it. The copy lies at a random place and cannot be written. LIMIT: the clock page is the
 * kernel's own; fencing the kernel off must leave it readable.
 */
#include "abi/errno.h"
#include "enclave/clock.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/vm.h"
#include "proc/exec.h"

#define PAGE_WORD  0x636f6c6370616765ull /* what the linked image holds in its place */
#define ENTRY_WORD 0x6b65726e656c2121ull
#define RESTORER   16u /* bytes behind the entry's place */

extern const uint8_t vdso_image[], vdso_image_end[];
extern char syscall_entry[]; /* enclave/entry.S */
static size_t word_offset, entry_offset;

static size_t image_size(void)
{
    return (size_t)(vdso_image_end - vdso_image);
}

static size_t find_word(uint64_t wanted)
{
    for (size_t i = 0; i + sizeof(wanted) <= image_size(); i += sizeof(wanted)) {
        if (!memcmp(vdso_image + i, &wanted, sizeof(wanted)))
            return i;
    }
    panic("the vDSO has no place for an address");
}

void vdso_init(void)
{
    word_offset = find_word(PAGE_WORD);
    entry_offset = find_word(ENTRY_WORD);
}

void vdso_restorer(uaddr_t at, struct signal_restorer *out)
{
    out->address = at + entry_offset + RESTORER;
    memcpy(&out->code, vdso_image + entry_offset + RESTORER, sizeof(out->code));
}

/* Into the part of the image that begins at `offset`, if the word's place is in it. */
static void put_word(uint8_t *part, uint64_t offset, size_t size, size_t at, uint64_t value)
{
    if (at >= offset && at < offset + size)
        memcpy(part + (at - offset), &value, sizeof(value));
}

/* For the memory it is a file: its pages are the same for every process, and can be kept. */
static ssize_t read_vdso(void *file, uint64_t offset, struct iter *to)
{
    size_t done = 0;

    (void)file;
    while (to->remaining && offset < image_size()) {
        uint8_t part[256];
        size_t n = MIN(to->remaining, image_size() - (size_t)offset);
        n = MIN(n, sizeof(part) - (size_t)offset % sizeof(part));
        memcpy(part, vdso_image + offset, n);
        put_word(part, offset, n, word_offset, (uint64_t)(uintptr_t)&clock_page);
        put_word(part, offset, n, entry_offset, (uint64_t)(uintptr_t)syscall_entry);
        size_t copied = iter_copy_to(to, part, n);
        done += copied;
        offset += copied;
        if (copied < n)
            return done ? (ssize_t)done : -EFAULT;
    }
    return (ssize_t)done;
}

static void keep(void *file)
{
    (void)file;
}

static uint64_t vdso_identity(void *file)
{
    (void)file;
    return UINT64_MAX; /* files count from 1 */
}

static const struct vm_file_ops vdso_ops = {
    .read = read_vdso,
    .get = keep,
    .put = keep,
    .identity = vdso_identity,
};

int vdso_map(struct mm *mm, uaddr_t *at)
{
    static char file;
    struct vm_map_args a = {
        .length = align_up(image_size(), PAGE_SIZE),
        .prot = PROT_READ | PROT_EXEC,
        .flags = MAP_PRIVATE | MAP_POPULATE | MAP_DENYWRITE,
        .file = &file,
        .file_ops = &vdso_ops,
        .name = "[vdso]",
    };
    int64_t r = vm_map(mm, &a);
    if (r < 0)
        return (int)r;
    *at = (uaddr_t)r;
    return 0;
}
