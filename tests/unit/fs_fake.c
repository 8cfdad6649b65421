/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs_fake.h"

#include <asm/prctl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "crypto/random.h"
#include "enclave/boot.h"
#include "enclave/clock.h"
#include "fs/ramfs/ramfs.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "signal/signal.h"

long syscall(long number, ...);

long fake_live, fake_fail_after = -1;
unsigned fake_held, fake_log_lines;
int fake_signal;
uint64_t fake_now_ns = 1000000000000u;
uint64_t fake_limit_fsize = UINT64_MAX, fake_limit_nofile = 1024;
char fake_log_last[512];

static struct vcpu vcpu;
static struct task task;

/* ---- one processor, so that nobody reads ahead ---- */

static const struct boot_info boot = {.vcpu_count = 1};
const struct boot_info *boot_info = &boot;

int task_init(struct task *t, void (*entry)(void *arg), void *arg)
{
    return -ENOMEM;
}

void task_start(struct task *t)
{
}

void sched_share(void)
{
}

/* ---- memory ---- */

static bool allowed(void)
{
    if (fake_fail_after == 0)
        return false;
    if (fake_fail_after > 0)
        fake_fail_after--;
    fake_live++;
    return true;
}

void *kzalloc(size_t size)
{
    return allowed() ? calloc(1, size ? size : 1) : NULL;
}

void *kmalloc(size_t size)
{
    void *p = allowed() ? malloc(size ? size : 1) : NULL;
    if (p)
        memset(p, 0xa5, size);
    return p;
}

void *kcalloc(size_t count, size_t size)
{
    return allowed() ? calloc(count ? count : 1, size ? size : 1) : NULL;
}

void *krealloc(void *p, size_t size)
{
    if (!p)
        return kmalloc(size);
    return fake_fail_after == 0 ? NULL : realloc(p, size);
}

void kfree(void *p)
{
    if (p)
        fake_live--;
    free(p);
}

char *kstrdup(const char *s)
{
    return allowed() ? strdup(s) : NULL;
}

void *pages_alloc(size_t count)
{
    void *p = allowed() ? aligned_alloc(4096, count * 4096) : NULL;
    if (p)
        memset(p, 0, count * 4096);
    return p;
}

void pages_free(void *p, size_t count)
{
    (void)count;
    fake_live--;
    free(p);
}

void heap_stats(struct heap_stats *out)
{
    *out = (struct heap_stats){.limit_bytes = 256u << 20};
}

/* ---- locks: a second taker would wait for ever, which is a failure here ---- */

void spin_init(struct spinlock *l, enum lock_rank rank)
{
    atomic_init(&l->held, 0);
    l->rank = rank;
}

bool spin_trylock(struct spinlock *l) UNCHECKED_LOCKING
{
    if (atomic_exchange(&l->held, 1))
        return false;
    fake_held++;
    return true;
}

void spin_lock(struct spinlock *l) UNCHECKED_LOCKING
{
    assert(spin_trylock(l));
}

void spin_unlock(struct spinlock *l) UNCHECKED_LOCKING
{
    assert(atomic_exchange(&l->held, 0));
    fake_held--;
}

void mutex_init(struct mutex *m, enum lock_rank rank)
{
    *m = (struct mutex){.rank = rank};
}

bool mutex_trylock(struct mutex *m) UNCHECKED_LOCKING
{
    if (m->owner)
        return false;
    m->owner = &task;
    fake_held++;
    return true;
}

void mutex_lock(struct mutex *m) UNCHECKED_LOCKING
{
    assert(mutex_trylock(m));
}

void mutex_unlock(struct mutex *m) UNCHECKED_LOCKING
{
    assert(m->owner);
    m->owner = NULL;
    fake_held--;
}

/* ---- tasks: nobody else runs, so a sleep is a signal ---- */

bool schedule_until(uint64_t deadline_ns)
{
    assert(fake_held == 0);
    if (deadline_ns != NO_DEADLINE)
        return false;
    atomic_fetch_or(&task.flags, TASK_SIGNAL);
    return true;
}

bool task_wake(struct task *t)
{
    (void)t;
    return false;
}

void task_yield(void)
{
}

void signal_send_current(int sig)
{
    fake_signal = sig;
}

uint64_t clock_monotonic_ns(void)
{
    return fake_now_ns += 1000;
}

uint64_t clock_realtime_ns(void)
{
    return 1700000000000000000u + clock_monotonic_ns();
}

/* ---- log ---- */

uint32_t log_level = LOG_WARN;
uint8_t log_levels[LOG_SUBSYSTEMS] = {[0 ... LOG_SUBSYSTEMS - 1] = LOG_WARN};

void log_line(uint32_t level, const char *format, ...)
{
    (void)level;
    (void)format;
}

void log_always(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(fake_log_last, sizeof(fake_log_last), format, args);
    va_end(args);
    fake_log_lines++;
}

void assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: assertion: %s\n", file, line, expression);
    abort();
}

/* ---- strings that the C library lacks ---- */

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

int str_copy(char *dst, size_t size, const char *src)
{
    size_t n = strlen(src);
    if (n >= size) {
        dst[0] = 0;
        return -ENAMETOOLONG;
    }
    memcpy(dst, src, n + 1);
    return 0;
}

int format_string(char *dst, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(dst, size, format, args);
    va_end(args);
    return n;
}

int parse_u64(const char *s, unsigned base, uint64_t *out)
{
    char *end;
    *out = strtoull(s, &end, (int)base);
    return *s && !*end ? 0 : -EINVAL;
}

/* ---- guest memory ---- */

bool user_range_ok(uaddr_t p, uint64_t size)
{
    return p && p + size >= p;
}

int copy_from_user(void *dst, uaddr_t src, size_t size)
{
    if (!src)
        return -EFAULT;
    memcpy(dst, (void *)src, size);
    return 0;
}

int copy_to_user(uaddr_t dst, const void *src, size_t size)
{
    if (!dst)
        return -EFAULT;
    memcpy((void *)dst, src, size);
    return 0;
}

int clear_user(uaddr_t dst, size_t size)
{
    if (!dst)
        return -EFAULT;
    memset((void *)dst, 0, size);
    return 0;
}

size_t copy_from_user_partial(void *dst, uaddr_t src, size_t size)
{
    return copy_from_user(dst, src, size) ? 0 : size;
}

size_t copy_to_user_partial(uaddr_t dst, const void *src, size_t size)
{
    return copy_to_user(dst, src, size) ? 0 : size;
}

int strdup_from_user(uaddr_t src, size_t max, char **out)
{
    if (!src)
        return -EFAULT;
    if (strlen((char *)src) >= max)
        return -ENAMETOOLONG;
    *out = kstrdup((char *)src);
    return *out ? 0 : -ENOMEM;
}

/* There are no mappings here. */
int vm_object_flush(struct vm_object *o, uint64_t offset, uint64_t size)
{
    return 0;
}

void vm_object_update(struct vm_object *o, uint64_t offset, uint64_t size)
{
}

void vm_file_cut(struct mm *mm, struct vm_object *_Atomic *slot, uint64_t size)
{
}

void vm_object_drop(struct vm_object *o, uint64_t offset, uint64_t size)
{
}

bool vm_object_writable(struct vm_object *o)
{
    return false;
}

void vm_object_free(struct vm_object *o)
{
    assert(!o);
}

/* ---- setting up ---- */

static uint64_t limit(int resource)
{
    return resource == FS_RLIMIT_FSIZE ? fake_limit_fsize : fake_limit_nofile;
}

void fake_kernel_init(void)
{
    vcpu.self = &vcpu;
    *(struct task **)((char *)&vcpu + VCPU_CURRENT) = &task;
    syscall(SYS_arch_prctl, ARCH_SET_GS, &vcpu);
    task.tgid = task.tid = 2;
    task.cred = cred_new(0, 0);
    fs_hooks.rlimit = limit;
}

void fake_mount_root(void)
{
    struct super *sb;
    struct config_mount none = {0};
    ramfs_register();
    assert(fs_type_find("tmpfs")->mount(&none, "", "mode=755", &sb) == 0);
    struct dentry *root = dentry_new_root(inode_get(sb->root), "/");
    assert(mount_attach(sb, root, NULL, 0, "tmpfs") == 0);
    dentry_put(root);
    super_put(sb);
    assert(fs_context_new(&task.fs) == 0);
    task.files = fd_table_new();
}

void fake_leave(void)
{
    fd_table_put(task.files);
    fs_context_put(task.fs);
    task.files = NULL;
    task.fs = NULL;
    dentry_shrink(1u << 20);
}

int fake_open(const char *path, uint32_t flags, uint32_t mode)
{
    struct file *f;
    int r = file_open(AT_FDCWD, path, flags, mode, 0, &f);
    return r < 0 ? r : fd_add(f, flags & O_CLOEXEC);
}

static ssize_t transfer(int fd, void *buffer, size_t size, uint64_t *pos, bool write)
{
    struct iter it;
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    iter_kernel(&it, buffer, size);
    ssize_t r = write ? file_write(f, &it, pos) : file_read(f, &it, pos);
    file_put(f);
    return r;
}

ssize_t fake_read(int fd, void *buffer, size_t size)
{
    return transfer(fd, buffer, size, NULL, false);
}

ssize_t fake_write(int fd, const void *buffer, size_t size)
{
    return transfer(fd, (void *)buffer, size, NULL, true);
}

ssize_t fake_pread(int fd, void *buffer, size_t size, uint64_t offset)
{
    return transfer(fd, buffer, size, &offset, false);
}

ssize_t fake_pwrite(int fd, const void *buffer, size_t size, uint64_t offset)
{
    return transfer(fd, (void *)buffer, size, &offset, true);
}

const char *boot_variable(const char *name)
{
    (void)name;
    return NULL;
}
