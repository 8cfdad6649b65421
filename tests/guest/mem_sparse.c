/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that is touched here and there takes little, also in a mapping of which another part
 * was touched in sequence before: what threads' heaps in one large mapping are like.
 */
#include <pthread.h>
#include <sys/mman.h>
#include "tests/guest/test.h"

#define MIB     (1ul << 20)
#define PLACES  64ul
#define APART   (2 * MIB)
#define THREADS 4ul

static unsigned char *area;

static long resident_mib(void)
{
    long all = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (!f || fscanf(f, "%ld %ld", &all, &resident) != 2)
        return -1;
    fclose(f);
    return resident / 256;
}

/* Each thread goes through a part of its own, page by page. */
static void *in_sequence(void *argument)
{
    unsigned char *at = area + (PLACES + 4 * (unsigned long)argument) * APART;

    for (unsigned long i = 0; i < 4 * APART; i += 4096)
        at[i] = 1;
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    unsigned long size = (PLACES + 4 * THREADS) * APART, sum = 0;

    area = must(mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    must(madvise(area, size, MADV_NOHUGEPAGE));
    for (unsigned long i = 0; i < 4 * APART; i += 4096)
        area[i] = 1;
    long before = resident_mib();
    for (unsigned long i = 4; i < PLACES; i++)
        area[i * APART + MIB] = 1;
    long after = resident_mib();
    expect(before >= 8, 1, 0);
    expect(after - before < 20, 1, 0);
    for (unsigned long i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, in_sequence, (void *)i);
    for (unsigned long i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    expect(resident_mib() >= after + 28, 1, 0);
    for (unsigned long i = 0; i < size; i += 4096)
        sum += area[i];
    expect(sum, 4 * APART / 4096 + PLACES - 4 + THREADS * 4 * APART / 4096, 0);
    return test_end();
}
