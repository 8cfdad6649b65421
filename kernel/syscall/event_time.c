/* SPDX-License-Identifier: BSD-3-Clause */
/* timerfd and signalfd calls. */
#include "abi/errno.h"
#include "fs/core/fd.h"
#include "ipc/signalfd.h"
#include "ipc/timerfd.h"
#include "mm/user.h"
#include "signal/signal.h"
#include "syscall/syscall.h"
#include "time/time.h"

int64_t sys_timerfd_create(int clock, int flags)
{
    struct file *f;
    if ((uint32_t)flags & ~(uint32_t)(O_NONBLOCK | O_CLOEXEC))
        return -EINVAL;
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME &&
        clock != CLOCK_REALTIME_ALARM && clock != CLOCK_BOOTTIME_ALARM)
        return -EINVAL;
    int r = timerfd_new(clock, (uint32_t)flags, &f);
    return r ? r : fd_add(f, (uint32_t)flags & O_CLOEXEC);
}

static int put_spec(uaddr_t at, uint64_t interval, uint64_t value)
{
    int r = time_put_spec(at, interval);
    return r ? r : time_put_spec(at + 16, value);
}

int64_t sys_timerfd_settime(int fd, int flags, uaddr_t value, uaddr_t old)
{
    uint64_t interval, first;
    if ((uint32_t)flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET))
        return -EINVAL;
    int r = time_get_spec(value, &interval);
    if (!r)
        r = time_get_spec(value + 16, &first);
    if (r)
        return r;
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    r = timerfd_set(f, (uint32_t)flags & TFD_TIMER_ABSTIME, &interval, &first);
    file_put(f);
    return r || !old ? r : put_spec(old, interval, first);
}

int64_t sys_timerfd_gettime(int fd, uaddr_t value)
{
    uint64_t interval, first;
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    int r = timerfd_get(f, &interval, &first);
    file_put(f);
    return r ? r : put_spec(value, interval, first);
}

int64_t sys_signalfd4(int fd, uaddr_t mask_at, uint64_t size, int flags)
{
    uint64_t mask;
    struct file *f;
    if ((uint32_t)flags & ~(uint32_t)(O_NONBLOCK | O_CLOEXEC))
        return -EINVAL;
    int r = signal_get_mask(mask_at, size, &mask);
    if (r)
        return r;
    if (fd == -1) {
        r = signalfd_new(mask, (uint32_t)flags, &f);
        return r ? r : fd_add(f, (uint32_t)flags & O_CLOEXEC);
    }
    f = fd_file(fd);
    if (!f)
        return -EBADF;
    r = signalfd_set(f, mask);
    file_put(f);
    return r ? r : fd;
}

int64_t sys_signalfd(int fd, uaddr_t mask, uint64_t size)
{
    return sys_signalfd4(fd, mask, size, 0);
}
