/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * brk: grows, shrinks, gives zeroed pages, refuses nonsense by not moving; nothing lies beyond.
 */
#include <stdint.h>
#include <sys/syscall.h>
#include "tests/guest/test.h"

static uintptr_t brk_to(uintptr_t address)
{
    return (uintptr_t)syscall(SYS_brk, address);
}

int main(void)
{
    uintptr_t start = brk_to(0);
    uintptr_t page = (start + 4095) & ~(uintptr_t)4095;
    int pipes[2];
    expect(start != 0, 1, 0);
    /* Beyond the end there is nothing, before it grows as after. */
    must(pipe(pipes));
    expect(write(pipes[1], (void *)page, 1), -1, EFAULT);
    expect(brk_to(page + 0x1000), page + 0x1000, 0);
    expect(write(pipes[1], (void *)page, 1), 1, 0);
    expect(write(pipes[1], (void *)(page + 0x1000), 1), -1, EFAULT);
    expect(brk_to(page + 0x10000), page + 0x10000, 0);
    memset((char *)page, 0xaa, 0x10000);
    expect(brk_to(page + 0x20000), page + 0x20000, 0);
    expect(((char *)page)[0xffff] == (char)0xaa, 1, 0);
    expect(((char *)page)[0x10000], 0, 0);
    expect(((char *)page)[0x1ffff], 0, 0);
    /* Given back and taken again, the memory is zero. */
    expect(brk_to(page + 0x1000), page + 0x1000, 0);
    expect(brk_to(page + 0x10000), page + 0x10000, 0);
    expect(((char *)page)[0xfff] == (char)0xaa, 1, 0);
    expect(((char *)page)[0x1000], 0, 0);
    expect(((char *)page)[0xffff], 0, 0);
    /* Below the start and far too high: nothing moves. */
    expect(brk_to(0x1000), page + 0x10000, 0);
    expect(brk_to((uintptr_t)1 << 62), page + 0x10000, 0);
    expect(brk_to(page + 123), page + 123, 0);
    expect(brk_to(start), start, 0);
    return test_end();
}
