# SPDX-License-Identifier: BSD-3-Clause
# A driver linked at a fixed address, and larger workers at the same one, that it starts one
# after the other, and two at a time, as gcc does with its compiler: what stays of a worker's
# text and of its libraries is right for the next one.
. tests/apps/lib.sh

compile "$TMPDIR/worker" -no-pie -fno-pie -lm <<'E'
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static const unsigned char text[2 << 20] = {1, [700000] = 2, [1500000] = 3};
static unsigned data[50000] = {4, [30000] = 5};
static char bss[300000];
static double (*function[])(double) = {sin, cos, sqrt};
int main(int argc, char **argv)
{
    int n = atoi(argv[1]);
    unsigned sum = 0;
    for (unsigned i = 0; i < sizeof(text); i += 50)
        sum += text[i] * (i + 1);
    for (int i = 0; i < 50000; i++)
        sum = sum * 31 + data[i];
    for (unsigned i = 0; i < sizeof(bss); i += 100)
        sum += bss[i];
    memset(data, n, sizeof(data));
    memset(bss, n, sizeof(bss));
    for (int i = 0; i < 3; i++)
        sum += (unsigned)(1000 * function[i](n));
    char *own = malloc(200000), line[100];
    memset(own, n, 200000);
    for (int i = 0; i < 200000; i++)
        sum += own[i] - bss[i];
    snprintf(line, sizeof(line), "%s/out.%d", getenv("TEST_DIR"), n);
    FILE *f = fopen(line, "w");
    return f && fprintf(f, "worker %d: %u\n", n, sum) > 0 && !fclose(f) ? n % 100 : 1;
}
E
compile "$TMPDIR/driver" -no-pie -fno-pie <<'E'
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
extern char **environ;
static int data[5000] = {1, [4000] = 2};
int main(int argc, char **argv)
{
    for (int n = 2; n < 26; n += 1 + n % 2) {
        int status = 0, many = 1 + n % 2;
        pid_t pid[2];
        for (int i = 0; i < many; i++) {
            char number[12], *args[] = {argv[1], number, NULL};
            snprintf(number, sizeof(number), "%d", n + i);
            if (posix_spawn(&pid[i], argv[1], NULL, NULL, args, environ))
                return 1;
            data[n + i] = n;
        }
        for (int i = 0; i < many; i++) {
            if (waitpid(pid[i], &status, 0) != pid[i])
                return 2;
            printf("%d: %x\n", n + i, status);
        }
        if (data[4000] != 2 || data[n] != n)
            return 3;
    }
    return 0;
}
E
mkdir -p "$TMPDIR/outside" "$TMPDIR/inside"
TEST_DIR=$TMPDIR/outside "$TMPDIR/driver" "$TMPDIR/worker" >"$TMPDIR/native" || exit 1
for round in 1 2 3; do
    rm -f "$TMPDIR"/inside/*
    TEST_DIR=$TMPDIR/inside try --rw "$TMPDIR/inside" "$TMPDIR/driver" "$TMPDIR/worker" \
        >"$TMPDIR/got" || failed=1
    diff "$TMPDIR/native" "$TMPDIR/got" && diff -r "$TMPDIR/outside" "$TMPDIR/inside" ||
        failed=1
done
exit $failed
