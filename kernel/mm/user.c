/* SPDX-License-Identifier: BSD-3-Clause */
/* Copies to and from guest memory; see user.h and user_copy.S. */
#include "mm/user.h"

#include "abi/errno.h"
#include "enclave/boot.h"
#include "lib/san.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/vm.h"
#include "sched/task.h"

size_t user_copy_raw(void *dst, const void *src, size_t size);
size_t user_clear_raw(void *dst, size_t size);
size_t user_swap_raw(void *at, void *page);
int user_cmpxchg_raw(void *address, uint32_t expected, uint32_t desired, uint32_t *old);

bool user_range_ok(uaddr_t p, uint64_t size)
{
    uint64_t end;

    if (!size) /* nothing is touched: NULL will do */
        return p <= enclave.user_end;
    return !add_overflows(p, size, &end) && p >= enclave.user_start && end <= enclave.user_end;
}

/* Copies; where the guest's page is missing, brings it in and goes on. Bytes not copied. */
static size_t copy(void *dst, const void *src, size_t size, bool write)
{
    size_t left = size;

    for (;;) {
        size_t done = size - left;
        size_t now = user_copy_raw((char *)dst + done, (const char *)src + done, left);
        if (!now)
            return 0;
        done = size - now;
        uaddr_t fault = (uint64_t)(write ? dst : src) + done;
        if (now == left && done == size) /* cannot be; keeps the loop finite */
            return now;
        left = now;
        if (vm_fault(current->mm, fault, write ? VM_ACCESS_WRITE : VM_ACCESS_READ))
            return left;
    }
}

size_t copy_from_user_partial(void *dst, uaddr_t src, size_t size)
{
    if (!user_range_ok(src, size))
        return 0;
    return size - copy(dst, (const void *)src, size, false);
}

size_t copy_to_user_partial(uaddr_t dst, const void *src, size_t size)
{
    if (!user_range_ok(dst, size))
        return 0;
    return size - copy((void *)dst, src, size, true);
}

int copy_from_user(void *dst, uaddr_t src, size_t size)
{
    return user_range_ok(src, size) && !copy(dst, (const void *)src, size, false) ? 0 : -EFAULT;
}

int copy_to_user(uaddr_t dst, const void *src, size_t size)
{
    return user_range_ok(dst, size) && !copy((void *)dst, src, size, true) ? 0 : -EFAULT;
}

int clear_user(uaddr_t dst, size_t size)
{
    if (!user_range_ok(dst, size))
        return -EFAULT;
    for (;;) {
        size_t left = user_clear_raw((void *)dst, size);
        if (!left)
            return 0;
        dst += size - left;
        size = left;
        if (vm_fault(current->mm, dst, VM_ACCESS_WRITE))
            return -EFAULT;
    }
}

size_t user_copy_present(uaddr_t dst, uaddr_t src, size_t size)
{
    return user_copy_raw((void *)dst, (const void *)src, size);
}

size_t user_clear_present(uaddr_t dst, size_t size)
{
    return user_clear_raw((void *)dst, size);
}

void user_swap_page(uaddr_t at, void *page)
{
    if (user_swap_raw((void *)at, page))
        panic("the host took a page in use away, at 0x%lx", at);
}

NO_SAN bool user_same_page(uaddr_t at, const void *page)
{
    const uint64_t *place = (const uint64_t *)at, *buffer = page;
    uint64_t differ = 0;

    for (size_t i = 0; i < PAGE_SIZE / sizeof(*place) && !differ; i += 4)
        differ = (place[i] ^ buffer[i]) | (place[i + 1] ^ buffer[i + 1]) |
                 (place[i + 2] ^ buffer[i + 2]) | (place[i + 3] ^ buffer[i + 3]);
    return !differ;
}

ssize_t strncpy_from_user(char *dst, uaddr_t src, size_t size)
{
    size_t done = 0;

    while (done < size) {
        size_t part = MIN(size - done, PAGE_SIZE - (size_t)((src + done) % PAGE_SIZE));
        part = MIN(part, (size_t)256);
        if (copy_from_user(dst + done, src + done, part))
            return -EFAULT;
        const char *nul = memchr(dst + done, 0, part);
        if (nul)
            return nul - dst;
        done += part;
    }
    return -ENAMETOOLONG;
}

int strdup_from_user(uaddr_t src, size_t max, char **out)
{
    char *buffer = kmalloc(max);

    if (!buffer)
        return -ENOMEM;
    ssize_t n = strncpy_from_user(buffer, src, max);
    if (n < 0) {
        kfree(buffer);
        return (int)n;
    }
    *out = buffer;
    return 0;
}

int user_cmpxchg32(uaddr_t address, uint32_t expected, uint32_t desired, uint32_t *old)
{
    if (address % 4 || !user_range_ok(address, 4))
        return -EFAULT;
    while (user_cmpxchg_raw((void *)address, expected, desired, old)) {
        if (vm_fault(current->mm, address, VM_ACCESS_WRITE))
            return -EFAULT;
    }
    return 0;
}

int user_load32(uaddr_t address, uint32_t *value)
{
    return get_user(value, address);
}
