/* SPDX-License-Identifier: BSD-3-Clause */
/* The rarer files of /proc and /sys: that they are there, and say what they should. */
#include "tests/guest/test.h"

static const char *slurp(const char *path)
{
    static char text[8192];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    text[n < 0 ? 0 : n] = 0;
    return n < 0 ? NULL : text;
}

static void says(const char *path, const char *what)
{
    const char *text = slurp(path);
    int found = text && strstr(text, what);
    if (!found)
        fprintf(stderr, "%s does not say \"%s\"\n", path, what);
    expect(found, 1, 0);
}

static void own_memory(void)
{
    static char secret[] = "in memory", copy[sizeof(secret)];
    int fd = must(open("/proc/self/mem", O_RDWR));
    expect(pread(fd, copy, sizeof(copy), (off_t)(uintptr_t)secret), sizeof(copy), 0);
    expect(memcmp(copy, secret, sizeof(copy)), 0, 0);
    expect(pwrite(fd, "IN", 2, (off_t)(uintptr_t)secret), 2, 0);
    expect(memcmp(secret, "IN memory", sizeof(secret)), 0, 0);
    expect(pread(fd, copy, 1, 16), -1, EIO);
    close(fd);
}

int main(void)
{
    says("/proc/self/io", "rchar: ");
    says("/proc/self/schedstat", " ");
    says("/proc/self/smaps_rollup", "[rollup]\nRss: ");
    says("/proc/self/uid_map", "4294967295");
    says("/proc/self/setgroups", "allow\n");
    says("/proc/self/personality", "00000000\n");
    says("/proc/self/cpuset", "/");
    says("/proc/self/net/dev", "Inter-|");
    says("/proc/net/tcp", "local_address");
    says("/proc/vmstat", "nr_free_pages ");
    says("/proc/meminfo", "Inactive: ");
    says("/proc/swaps", "Filename");
    says("/proc/interrupts", "CPU0");
    says("/proc/sys/fs/inotify/max_user_watches", "\n");
    says("/proc/sys/kernel/overflowuid", "65534\n");
    says("/sys/devices/system/cpu/cpu0/topology/core_id", "0\n");
    says("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0");
    says("/sys/devices/system/node/online", "0\n");
    says("/sys/devices/system/node/node0/meminfo", "Node 0 MemFree:");
    says("/proc/mounts", " /proc proc rw");
    expect(access("/sys/devices/system/cpu/cpu4000", F_OK), -1, ENOENT);
    own_memory();
    return test_end();
}
