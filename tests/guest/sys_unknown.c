/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers that are no system call give ENOSYS: C libraries probe for new calls that way.
 */
#include <sys/syscall.h>
#include "tests/guest/test.h"

int main(void)
{
    /* 335 and 336 are uretprobe and uprobe, which end a program that is not being traced. */
    for (long number = 340; number < 424; number++)
        expect(syscall(number, -1, -1, -1, -1, -1, -1), -1, ENOSYS);
    static const long others[] = {600,        1000,         4096,        100000, 0x7fffffff,
                                  0x80000000, 0xffffffffUL, -1,          -2,     -4096};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        expect(syscall(others[i], 0, 0, 0, 0, 0, 0), -1, ENOSYS);
    /* Only the lower half of the register counts. */
    expect(syscall(1L << 32 | SYS_getpid), getpid(), 0);
    expect(syscall(1L << 32 | 1000), -1, ENOSYS);
    return test_end();
}
