/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What fork copies, page by page: several generations that write, map, unmap and move the same
 * addresses in turn, some of them long-lived; the kernel writing for them; threads that fork;
 * mappings that stay shared.
 */
#include <pthread.h>
#include <sys/mman.h>
#include "tests/guest/test.h"

#define PAGE  4096ul
#define PAGES 1024ul
#define SIZE  (PAGES * PAGE)

static unsigned char *area; /* private; page i begins with i % 251 */

struct peer {
    pid_t pid;
    int to, from;
};

static unsigned char first(unsigned long i)
{
    return (unsigned char)(i % 251);
}

static void fill(void)
{
    for (unsigned long i = 0; i < PAGES; i++)
        area[i * PAGE] = first(i);
}

/* Pages that are not as fill() left them, apart from every `step`-th from `except` on. */
static int differ(unsigned long step, unsigned long except)
{
    int n = 0;
    for (unsigned long i = 0; i < PAGES; i++) {
        if (step && i >= except && (i - except) % step == 0)
            continue;
        n += area[i * PAGE] != first(i);
    }
    return n;
}

static void scribble(unsigned long step, unsigned long from, unsigned char value)
{
    for (unsigned long i = from; i < PAGES; i += step)
        area[i * PAGE] = value;
}

static int scribbled(unsigned long step, unsigned long from, unsigned char value)
{
    int n = 0;
    for (unsigned long i = from; i < PAGES; i += step)
        n += area[i * PAGE] != value;
    return n;
}

/* ---- children that live on, and do what they are told ---- */

static int obey(char order, int depth);

static void serve(int in, int out, int depth)
{
    char order;
    while (read(in, &order, 1) == 1) {
        char answer = order == 'x' ? 0 : (char)obey(order, depth);
        if (write(out, &answer, 1) != 1)
            _exit(1);
        if (order == 'x')
            _exit(0);
    }
    _exit(1);
}

static struct peer child(int depth)
{
    int to[2], from[2];
    must(pipe(to));
    must(pipe(from));
    struct peer p = {must(fork()), to[1], from[0]};
    if (!p.pid) {
        close(to[1]);
        close(from[0]);
        serve(to[0], from[1], depth);
    }
    close(to[0]);
    close(from[1]);
    return p;
}

static int order(const struct peer *p, char what)
{
    char answer = 99;
    must(write(p->to, &what, 1));
    return read(p->from, &answer, 1) == 1 ? answer : 98;
}

static void end(struct peer *p)
{
    int status = -1;
    order(p, 'x');
    close(p->to);
    expect(waitpid(p->pid, &status, 0), p->pid, 0);
    expect(status, 0, 0);
    close(p->from);
}

static int kernel_writes(void)
{
    int fd = open("/dev/zero", O_RDONLY);
    int bad = read(fd, area + 17 * PAGE, 300 * PAGE) != 300 * PAGE;
    for (unsigned long i = 0; i < PAGES; i++)
        bad += area[i * PAGE] != (i >= 17 && i < 317 ? 0 : first(i));
    close(fd);
    return bad != 0;
}

static int moves(void)
{
    unsigned char *to = mremap(area, SIZE, SIZE + PAGE, MREMAP_MAYMOVE);
    if (to == MAP_FAILED)
        return 1;
    int bad = 0;
    for (unsigned long i = 0; i < PAGES; i++) {
        bad += to[i * PAGE] != first(i);
        to[i * PAGE] = 1;
    }
    return bad != 0;
}

static int maps_over(void)
{
    void *p = mmap(area + 100 * PAGE, 200 * PAGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    int bad = p == MAP_FAILED;
    for (unsigned long i = 0; i < PAGES; i++)
        bad += area[i * PAGE] != (i >= 100 && i < 300 ? 0 : first(i));
    memset(area + 100 * PAGE, 7, 200 * PAGE);
    return bad != 0;
}

static int obey(char what, int depth)
{
    struct peer p;
    int bad;
    switch (what) {
    case '?':
        return differ(0, 0) != 0;
    case 'w':
        bad = differ(0, 0);
        scribble(3, 1, 200);
        return bad + differ(3, 1) + scribbled(3, 1, 200) != 0;
    case 'v':
        return differ(3, 1) + scribbled(3, 1, 200) != 0;
    case 'k':
        return kernel_writes();
    case 'm':
        return moves();
    case 'o':
        return maps_over();
    case 'u':
        return munmap(area, SIZE) != 0;
    case 'z':
        bad = madvise(area, SIZE, MADV_DONTNEED) != 0;
        for (unsigned long i = 0; i < PAGES; i++)
            bad += area[i * PAGE] != 0;
        return bad != 0;
    case 'M': /* after 'u': the place is free, and reads as zero when it is mapped again */
        bad = mmap(area, SIZE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != area;
        for (unsigned long i = 0; i < PAGES && !bad; i++)
            bad += area[i * PAGE] != 0;
        return bad != 0;
    case 'f': /* a generation further down, after changes of one's own */
        if (depth > 4)
            return 0;
        p = child(depth + 1);
        bad = order(&p, '?') + order(&p, 'f') + order(&p, 'w') + order(&p, 'v') + differ(0, 0);
        order(&p, 'x');
        return waitpid(p.pid, NULL, 0) != p.pid || bad;
    }
    return 1;
}

/* ---- what is tested ---- */

static void each_order(void)
{
    const char *orders = "wkmozf";
    for (const char *o = orders; *o; o++) {
        struct peer p = child(0);
        expect(order(&p, *o), 0, 0);
        expect(differ(0, 0), 0, 0);
        scribble(2, 0, 100);
        end(&p);
        expect(scribbled(2, 0, 100), 0, 0);
        expect(differ(2, 0), 0, 0);
        fill();
    }
}

/* Three at once: what one has changed before another came to be, and after. */
static void siblings(void)
{
    struct peer a = child(0);
    expect(order(&a, 'u'), 0, 0);
    struct peer b = child(0); /* while a has nothing at these addresses */
    expect(order(&a, 'M'), 0, 0);
    expect(order(&b, '?'), 0, 0);
    expect(differ(0, 0), 0, 0);
    scribble(5, 2, 50);
    expect(order(&b, 'w'), 0, 0);
    struct peer c = child(0);
    expect(order(&b, 'v'), 0, 0);
    scribble(5, 2, 51);
    expect(order(&c, '?'), 1, 0); /* it has the 50s */
    expect(order(&b, 'v'), 0, 0);
    expect(scribbled(5, 2, 51), 0, 0);
    expect(differ(5, 2), 0, 0);
    end(&b);
    end(&a);
    expect(scribbled(5, 2, 51), 0, 0);
    end(&c);
    fill();
}

/* Pages that nobody had touched when the first child came, and read-only ones with contents. */
static void late_pages(void)
{
    unsigned char *p = must(mmap(NULL, 600 * PAGE, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    unsigned char *old = area;
    struct peer a = child(0);
    for (int i = 0; i < 600; i++)
        p[i * PAGE] = 9;
    must(mprotect(p + 300 * PAGE, 300 * PAGE, PROT_READ));
    struct peer b = child(0);
    expect(order(&a, '?'), 0, 0);
    pid_t pid = must(fork());
    if (!pid) {
        int bad = 0;
        for (int i = 0; i < 600; i++)
            bad += p[i * PAGE] != 9;
        _exit(bad != 0);
    }
    int status = -1;
    expect(waitpid(pid, &status, 0), pid, 0);
    expect(status, 0, 0);
    expect(order(&b, 'w'), 0, 0);
    expect(order(&a, '?'), 0, 0);
    int bad = 0;
    for (int i = 0; i < 600; i++)
        bad += p[i * PAGE] != 9;
    expect(bad, 0, 0);
    expect(area == old && differ(0, 0) == 0, 1, 0);
    end(&a);
    end(&b);
    munmap(p, 600 * PAGE);
}

static void *forks(void *arg)
{
    for (int i = 0; i < 5; i++) {
        pid_t pid = must(fork());
        if (!pid) {
            int bad = differ(0, 0);
            scribble(7, 0, (unsigned char)i);
            _exit(bad != 0);
        }
        int status = -1;
        expect(waitpid(pid, &status, 0), pid, 0);
        expect(status, 0, 0);
    }
    __atomic_store_n((int *)arg, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* Others go on writing meanwhile; none of their writes gets lost. */
static void from_a_thread(void)
{
    static unsigned long counters[64 * PAGE / sizeof(long)];
    pthread_t t;
    int done = 0;
    unsigned long rounds = 0;
    pthread_create(&t, NULL, forks, &done);
    while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
        rounds++;
        for (int i = 0; i < 64; i++)
            counters[i * PAGE / sizeof(long)]++;
    }
    pthread_join(t, NULL);
    int wrong = 0;
    for (int i = 0; i < 64; i++)
        wrong += counters[i * PAGE / sizeof(long)] != rounds;
    expect(wrong, 0, 0);
    expect(differ(0, 0), 0, 0);
}

static void shared(void)
{
    int fd = must(open("shared", O_RDWR | O_CREAT, 0600));
    must(ftruncate(fd, 4 * PAGE));
    unsigned *s = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    unsigned *a =
        must(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    for (unsigned i = 1; i <= 10; i++) {
        pid_t pid = must(fork());
        if (!pid) {
            s[3 * PAGE / sizeof(*s)] += i;
            __atomic_add_fetch(a, i, __ATOMIC_SEQ_CST);
            scribble(1, 0, 0);
            _exit(0);
        }
        expect(waitpid(pid, NULL, 0), pid, 0);
    }
    unsigned in_file = 0;
    expect(*a, 55, 0);
    expect(s[3 * PAGE / sizeof(*s)], 55, 0);
    expect(pread(fd, &in_file, sizeof(in_file), 3 * PAGE), sizeof(in_file), 0);
    expect(in_file, 55, 0);
    expect(differ(0, 0), 0, 0);
    close(fd);
}

int main(void)
{
    test_dir();
    area = must(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    fill();
    each_order();
    siblings();
    late_pages();
    from_a_thread();
    shared();
    return test_end();
}
