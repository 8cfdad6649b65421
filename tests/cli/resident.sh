#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A file of the image is in memory once: what a program has mapped is not in the kernel's cache
# as well, unless it had to be read again, and the host does not keep the image mapped.
. tests/cli/lib/instance

compiler=${CC:-gcc}
"$compiler" -O1 -static -x c - -o "$work/mapper" <<'C' || fail "the compiler"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE (24l << 20)

static unsigned long sum(void)
{
    unsigned long total = 0;
    int fd = open("/big", O_RDONLY);
    unsigned char *p = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
    if (fd < 0 || p == MAP_FAILED)
        exit(2);
    for (long i = 0; i < SIZE; i += 512)
        total = total * 31 + p[i];
    return total;
}

/* In pages. */
static long cached(void)
{
    char line[200];
    long value = -1;
    FILE *f = fopen("/proc/meminfo", "r");
    while (f && fgets(line, sizeof(line), f))
        if (!strncmp(line, "Cached:", 7))
            value = atol(line + 7) / 4;
    if (f)
        fclose(f);
    return value;
}

int main(void)
{
    char c;
    long before = cached();
    unsigned long first = sum();
    printf("once: %s\n", cached() - before < SIZE / 4096 / 2 ? "not kept" : "kept");
    fflush(stdout);
    if (read(0, &c, 1) != 1)
        return 3;
    pid_t other = fork();
    if (!other)
        _exit(sum() != first);
    int status = -1;
    waitpid(other, &status, 0);
    long more = cached() - before;
    printf("again: %s, %d\n", more > SIZE / 4096 / 2 ? "kept" : "not kept", status);
    return 0;
}
C
new_instance inst
cp "$work/mapper" image/bin/
head -c 24M /dev/urandom >image/big
build
mkfifo ../go
"$occlum" run /bin/mapper >../out 2>../err <../go &
pid=$!
exec 3>../go
for try in $(seq 600); do
    [ -s ../out ] && break
    kill -0 $pid 2>/dev/null || break
    sleep 0.1
done
mapped=$(awk '/^[0-9a-f]+-[0-9a-f]+ / { here = /rootfs\.img/ }
    here && $1 == "Rss:" { sum += $2 }
    END { print sum + 0 }' /proc/$pid/smaps)
[ "$mapped" -lt 12288 ] || fail "$mapped KiB of the image are mapped"
echo y >&3
exec 3>&-
wait $pid || { cat ../err; fail "status $?"; }
printf 'once: not kept\nagain: kept, 0\n' | cmp -s - ../out || { cat ../out; fail "the cache"; }
exit 0
