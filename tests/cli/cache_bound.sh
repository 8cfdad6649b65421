# SPDX-License-Identifier: BSD-3-Clause
# What the kernel keeps of files is bounded: with 64 MiB for itself it reads and writes files
# larger than that, a quarter of it is cache at most, and an open file takes 4 KiB at most.
# TIMEOUT: 120
. tests/cli/lib/instance

compiler=${CC:-gcc}
"$compiler" -O1 -static -x c - -o "$work/files" <<'C' || fail "the compiler"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define MIB   (1l << 20)
#define SIZE  (80 * MIB)
#define FILES 4000

static char buffer[MIB];

/* In KiB. */
static long meminfo(const char *name)
{
    char line[200];
    long value = -1;
    FILE *f = fopen("/proc/meminfo", "r");
    while (f && fgets(line, sizeof(line), f))
        if (!strncmp(line, name, strlen(name)))
            value = atol(line + strlen(name) + 1);
    if (f)
        fclose(f);
    return value;
}

static void fill(long at)
{
    uint64_t *p = (uint64_t *)buffer;
    for (long i = 0; i < MIB / 8; i++)
        p[i] = (uint64_t)(at + i) * 0x9e3779b97f4a7c15u;
}

static int check(int fd)
{
    static char got[MIB];
    for (long at = 0; at < SIZE; at += MIB) {
        fill(at);
        if (pread(fd, got, MIB, at) != MIB || memcmp(got, buffer, MIB))
            return 0;
    }
    return 1;
}

static int make(const char *name)
{
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (long at = 0; fd >= 0 && at < SIZE; at += MIB) {
        fill(at);
        if (pwrite(fd, buffer, MIB, at) != MIB) {
            printf("writing %s at %ld MiB: %s\n", name, at / MIB, strerror(errno));
            exit(1);
        }
    }
    return fd;
}

static void report(const char *what)
{
    long cached = meminfo("Cached:");
    printf("%s: %s\n", what, cached >= 0 && cached <= 20 * 1024 ? "bounded" : "not bounded");
    fprintf(stderr, "%s: %ld KiB cached, %ld KiB in all\n", what, cached, meminfo("Slab:"));
}

static void open_many(void)
{
    static int fds[FILES];
    char name[32];
    struct rlimit many = {FILES + 100, FILES + 100};
    long before, cached, n = 0;
    setrlimit(RLIMIT_NOFILE, &many);
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "/f%d", i);
        close(open(name, O_WRONLY | O_CREAT, 0600));
        unlink(name);
    }
    before = meminfo("Slab:"), cached = meminfo("Cached:");
    for (; n < FILES; n++) {
        snprintf(name, sizeof(name), "/f%ld", n);
        fds[n] = open(name, O_RDWR | O_CREAT, 0600);
        if (fds[n] < 0)
            break;
    }
    long grown = meminfo("Slab:") - before - (meminfo("Cached:") - cached);
    long each = grown * 1024 / (n ? n : 1);
    printf("open files: %ld, %s\n", n, each <= 4096 ? "4 KiB each at most" : "more than 4 KiB");
    fprintf(stderr, "an open file: %ld bytes\n", each);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        close(make(argv[1]));
        return 0;
    }
    int fd = open("/large", O_RDONLY);
    printf("the image's file: %s\n", check(fd) ? "right" : "wrong");
    report("after reading it");
    char *p = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
    long sum = 0;
    for (long at = 0; p != MAP_FAILED && at < SIZE; at += 4096)
        sum += p[at];
    report("after mapping it");
    fd = make("/made");
    report("after writing as much");
    printf("what was written: %s\n", check(fd) ? "right" : "wrong");
    report("after reading that");
    open_many();
    return 0;
}
C
new_instance bound
"$work/files" image/large || fail "making a file"
cp "$work/files" image/bin/
sed -i 's/"user_space_size"/"kernel_space_heap_max_size": "64MB", &/' Occlum.json
build
"$occlum" run /bin/files >out 2>err </dev/null || { cat out err; fail "status $?"; }
cat >wanted <<'O'
the image's file: right
after reading it: bounded
after mapping it: bounded
after writing as much: bounded
what was written: right
after reading that: bounded
open files: 4000, 4 KiB each at most
O
cmp -s out wanted || { diff out wanted; cat err; fail "other output"; }
cat err
