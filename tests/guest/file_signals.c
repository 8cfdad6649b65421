/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signals, without SA_RESTART, arrive all the time while files are read, written, synced and
 * mapped: regular files never answer EINTR, and no page goes missing.
 * RW: yes
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "test.h"

#define SIZE (3u << 20)

static volatile long ticks;
static unsigned char data[SIZE], back[SIZE];

static void on_alarm(int sig)
{
    (void)sig;
    ticks++;
}

static void write_all(int fd)
{
    for (size_t done = 0; done < SIZE;) {
        ssize_t n = write(fd, data + done, SIZE - done > 100000 ? 100000 : SIZE - done);
        expect(n > 0, 1, 0);
        if (n <= 0)
            exit(1);
        done += (size_t)n;
    }
}

static void once(void)
{
    int fd = must(open("file", O_CREAT | O_RDWR | O_TRUNC, 0600));
    write_all(fd);
    expect(fsync(fd), 0, 0);
    expect(pread(fd, back, SIZE, 0), SIZE, 0);
    expect(memcmp(data, back, SIZE), 0, 0);
    unsigned char *p = must(mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0));
    expect(memcmp(data, p, SIZE), 0, 0);
    expect(munmap(p, SIZE), 0, 0);
    expect(close(fd), 0, 0);
    expect(unlink("file"), 0, 0);
}

int main(void)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval every = {{0, 300}, {0, 300}};
    test_dir();
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (unsigned char)(i * 7 + i / 4096);
    expect(sigaction(SIGALRM, &action, NULL), 0, 0);
    expect(setitimer(ITIMER_REAL, &every, NULL), 0, 0);
    for (int round = 0; round < 200 && (round < 3 || ticks < 20); round++)
        once();
    memset(&every, 0, sizeof(every));
    expect(setitimer(ITIMER_REAL, &every, NULL), 0, 0);
    expect(ticks >= 20, 1, 0);
    return test_end();
}
