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
#include "mm/user.h"
#include "mm/vm.h"
#include "proc/exec.h"

#define PAGE_WORD 0x636f6c6370616765ull /* what the linked image holds in its place */

extern const uint8_t vdso_image[], vdso_image_end[];
static size_t word_offset;

static size_t image_size(void)
{
    return (size_t)(vdso_image_end - vdso_image);
}

void vdso_init(void)
{
    const uint64_t wanted = PAGE_WORD;
    for (size_t i = 0; i + sizeof(wanted) <= image_size(); i += sizeof(wanted)) {
        if (!memcmp(vdso_image + i, &wanted, sizeof(wanted)))
            word_offset = i;
    }
    assert(word_offset);
}

int vdso_map(struct mm *mm, uaddr_t *at)
{
    uint64_t length = align_up(image_size(), PAGE_SIZE);
    struct vm_map_args a = {
        .length = length,
        .prot = PROT_READ | PROT_WRITE,
        .flags = MAP_PRIVATE | MAP_ANONYMOUS,
        .name = "[vdso]",
    };
    int64_t r = vm_map(mm, &a);
    if (r < 0)
        return (int)r;
    *at = (uaddr_t)r;
    return 0;
}

int vdso_write(struct mm *mm, uaddr_t at)
{
    uint64_t page = (uint64_t)(uintptr_t)&clock_page;
    int r = copy_to_user(at, vdso_image, image_size());
    if (!r)
        r = copy_to_user(at + word_offset, &page, sizeof(page));
    if (!r)
        r = vm_protect(mm, at, align_up(image_size(), PAGE_SIZE), PROT_READ | PROT_EXEC);
    return r;
}
