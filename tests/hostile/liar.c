/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The occlum command with a host that lies. Linked from its objects with --wrap on the seams
 * between the runtime and the enclave; LIAR=KIND:SEED says how it lies and where.
 * Host addresses that are lies lie where a use of them faults, so that a test can tell what the
 * enclave did from what the liar did to itself.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/run.h"
#include "host/signal.h"
#include "host/vcpu.h"
#include "tests/hostile/lies.h"

enum kind {
    RESULTS,
    DATA,
    RINGS,
    CLOCK,
    WAITS,
    BOOT,
    MAPS,
    ENTRIES,
    PAGES,
    RACES,
    CONTROL,
    ALL,
    KINDS
};
static const char *const names[KINDS] = {"results", "data",  "rings", "clock",
                                         "waits",   "boot",  "maps",  "entries",
                                         "pages",   "races", "control", "all"};

static enum kind kind = KINDS;
static unsigned long seed;
static struct machine *machine;
static char *trap_area; /* PROT_NONE, with one writable page in the middle */
#define TRAP_BYTES (64ul << 20)

void __real_hostcall_serve(struct vcpu_host *v);
void __wrap_hostcall_serve(struct vcpu_host *v);
uint64_t __real_host_enter(struct host_thread *t, uint64_t command, uint64_t argument);
uint64_t __wrap_host_enter(struct host_thread *t, uint64_t command, uint64_t argument);
int __real_machine_run(struct machine *m, struct host_error *err);
int __wrap_machine_run(struct machine *m, struct host_error *err);

static uint64_t random_bits(void)
{
    return lies_random(seed + kind);
}

static int one_in(unsigned n)
{
    return random_bits() % n == 0;
}

static int lies_about(enum kind what, unsigned rate)
{
    return (kind == what && one_in(rate)) || (kind == ALL && one_in(rate * 20));
}

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("LIAR");

    kind = (enum kind)lies_asked("LIAR", names, KINDS, &seed);
    if (!text)
        return;
    if (kind == KINDS) {
        fprintf(stderr, "liar: what is %s?\n", text);
        _exit(2);
    }
    /* Indexes spoilt in the host kernel's own ring make its io_uring_enter(2) loop for ever,
     * deaf to SIGKILL: those lies are told through the interpreter. */
    int spoils = kind == RINGS || kind == RACES || kind == ALL;
    setenv("OCCLUM_RING", spoils || (random_bits() & 1) ? "interp" : "uring", 1);
    trap_area = mmap(NULL, TRAP_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(trap_area + TRAP_BYTES / 2, 4096, PROT_READ | PROT_WRITE);
}

/* An address that nobody could give in good faith. */
static uint64_t bad_address(void)
{
    uint64_t base = machine->dev->base, size = machine->dev->size, r = random_bits();

    switch (r % 9) {
    case 0:
        return 0;
    case 1:
        return base + (r >> 8) % size;
    case 2:
        return (base + (r >> 8) % size) & ~4095ull;
    case 3:
        return base + size - 4096 * (1 + (r >> 8) % 8);
    case 4:
        return ~0ull - (r >> 8) % 8192;
    case 5:
        return 0x8000000000000000ull + ((r >> 8) & ~4095ull);
    case 6:
        return (uint64_t)trap_area + (((r >> 8) % TRAP_BYTES) & ~4095ull);
    case 7: /* right at first, then not */
        return (uint64_t)trap_area + TRAP_BYTES / 2;
    default: /* the kernel's own data and text */
        return base + size - (1ull << 30) + (r >> 8) % (8u << 20);
    }
}

static uint64_t bad_number(uint64_t was)
{
    uint64_t r = random_bits();

    switch (r % 12) {
    case 0:
        return 0;
    case 1:
        return was + 1;
    case 2:
        return was - 1;
    case 3:
        return INT64_MAX;
    case 4:
        return (uint64_t)INT64_MIN;
    case 5:
        return 1ull << (r >> 8) % 64;
    case 6:
        return -(r >> 8) % 4096;
    case 7:
        return -4096 - (r >> 8) % 4096;
    case 8:
        return UINT32_MAX;
    case 9:
        return (r >> 8) % 65536;
    case 10:
        return was << 32 | was;
    default:
        return r;
    }
}

static void spoil(void *memory, size_t bytes)
{
    uint8_t *p = memory;

    for (unsigned n = 1 + (unsigned)(random_bits() % 8); n && bytes; n--) {
        uint64_t r = random_bits();
        p[r % bytes] = (uint8_t)(r >> 40 & 1 ? r >> 48 : (r >> 41 & 1) * 0xff);
    }
}

/* Where a call leaves its answer besides the result. */
static void spoil_answer(const struct hostcall *call)
{
    const uint64_t *a = call->arg;

    switch (call->nr) {
    case HOSTCALL_STATX:
        spoil((void *)a[4], 256);
        break;
    case HOSTCALL_GETDENTS:
        spoil((void *)a[1], call->result > 0 ? (size_t)call->result : 64);
        break;
    case HOSTCALL_READLINK:
    case HOSTCALL_IOCTL:
    case HOSTCALL_GETXATTR:
        spoil((void *)a[2], 64);
        break;
    case HOSTCALL_STATFS:
        spoil((void *)a[1], 120);
        break;
    default:
        break;
    }
}

static void spoil_clock(struct host_clock *c)
{
    uint64_t r = random_bits();

    switch (r % 6) {
    case 0:
        c->monotonic_ns -= 1000000000ull * ((r >> 8) % 1000);
        break;
    case 1:
        c->tsc = bad_number(c->tsc);
        break;
    case 2:
        c->monotonic_ns = bad_number(c->monotonic_ns);
        break;
    case 3:
        c->realtime_ns = bad_number(c->realtime_ns);
        break;
    case 4:
        c->tsc -= (r >> 8) % 1000000;
        break;
    default:
        *c = (struct host_clock){0};
    }
}

/* Completions: changed, repeated, invented, taken back. */
static void spoil_ring(struct vcpu_host *v)
{
    const struct ring_map *m = &v->ring.map;
    uint32_t *tail = (uint32_t *)m->cq_tail, mask = m->cq_entries - 1;
    struct ring_cqe *cqes = (struct ring_cqe *)m->cqes, *last = &cqes[(*tail - 1) & mask];
    uint64_t r = random_bits();

    /* Where indices lose step the end comes soon: seldom, and with some seeds only. */
    if (seed & 2 || r >> 32 & 63)
        r &= ~6ull;
    switch (r % 8) {
    case 0:
        last->res = (int32_t)bad_number((uint64_t)last->res);
        break;
    case 1:
        last->user_data = bad_number(last->user_data);
        break;
    case 2: /* once more */
        cqes[*tail & mask] = *last;
        __atomic_fetch_add(tail, 1, __ATOMIC_RELEASE);
        break;
    case 3: /* of a request in flight, perhaps, ahead of time */
        cqes[*tail & mask] = (struct ring_cqe){
            .user_data = (1 + (r >> 20) % 4) << 32 | (r >> 8) % 16, .res = (int32_t)(r >> 30)};
        __atomic_fetch_add(tail, 1, __ATOMIC_RELEASE);
        break;
    case 4:
        __atomic_fetch_add(tail, (uint32_t)(r >> 8) % 600, __ATOMIC_RELEASE);
        break;
    case 5:
        __atomic_fetch_sub(tail, (uint32_t)(r >> 8) % 3, __ATOMIC_RELEASE);
        break;
    case 6:
        *(uint32_t *)m->sq_head = (uint32_t)bad_number(*(uint32_t *)m->sq_head);
        break;
    default:
        spoil(cqes, m->cq_entries * sizeof(*cqes));
    }
}

static int page_call(uint32_t nr)
{
    return nr >= HOSTCALL_AUG && nr <= HOSTCALL_REMOVE;
}

static int withheld(uint32_t nr)
{
    if (nr == HOSTCALL_WAIT || nr == HOSTCALL_KICK || nr == HOSTCALL_INTERRUPT ||
        nr == HOSTCALL_TIMER)
        return lies_about(WAITS, 3);
    return page_call(nr) && lies_about(PAGES, 20);
}

void __wrap_hostcall_serve(struct vcpu_host *v)
{
    struct hostcall *call = &v->shared->call;
    uint32_t nr = call->nr;

    if (nr == HOSTCALL_EXIT || nr == HOSTCALL_LOG || kind == KINDS) {
        __real_hostcall_serve(v);
        return;
    }
    /* A pool that we do not have ourselves: answers without a look at it. */
    int no_pool = machine->boot->pool_address - (uint64_t)trap_area < TRAP_BYTES;

    if (withheld(nr) || (no_pool && nr != HOSTCALL_WAIT))
        call->result = one_in(2) ? 0 : (int64_t)bad_number(0);
    else
        __real_hostcall_serve(v);
    if (nr == HOSTCALL_WAIT && lies_about(RINGS, 4))
        spoil_ring(v);
    if (nr == HOSTCALL_CLOCK && (kind == CLOCK || lies_about(CLOCK, 2)))
        spoil_clock((struct host_clock *)call->arg[0]);
    if (lies_about(DATA, 4))
        spoil_answer(call);
    if (!page_call(nr) && lies_about(RESULTS, 6))
        call->result = (int64_t)bad_number((uint64_t)call->result);
}

/* ---- entries that nobody asked for ---------------------------------------------------- */

struct stray {
    uint32_t tcs;
    uint64_t command, argument;
};

static void *stray_thread(void *arg)
{
    struct stray *s = arg;
    struct host_thread *t;
    struct host_error err;
    sigset_t set;

    if (host_thread_new(machine->dev, &t, &err))
        return NULL;
    sigemptyset(&set); /* ticks go to the vCPUs; this thread stays in for ever if it gets in */
    pthread_sigmask(SIG_SETMASK, &set, NULL);
    t->tcs = machine->dev->base + machine->plan->tcs_offset[s->tcs];
    (void)__real_host_enter(t, s->command, s->argument);
    return NULL;
}

static void stray_entry(void)
{
    static struct stray strays[2];
    static unsigned count;
    pthread_t thread;

    if (count >= 2)
        return;
    struct stray *s = &strays[count++];
    s->tcs = (uint32_t)(random_bits() % machine->plan->tcs_count);
    s->command = one_in(5) ? random_bits() : random_bits() % 5;
    s->argument = one_in(2) ? (uint64_t)machine->boot : bad_address();
    if (!pthread_create(&thread, NULL, stray_thread, s))
        pthread_detach(thread);
}

uint64_t __wrap_host_enter(struct host_thread *t, uint64_t command, uint64_t argument)
{
    struct vcpu_host *v = t->vcpu;

    if (command != ENTER_RETURN && kind == MAPS) {
        uint64_t *field = (uint64_t *)&v->shared->ring;
        for (unsigned n = 1 + (unsigned)(random_bits() % 2); n; n--)
            field[random_bits() % 10] = bad_address();
        if (one_in(3))
            v->shared->ring.sq_entries = (uint32_t)bad_number(256);
        if (one_in(3))
            v->shared->ring.cq_entries = (uint32_t)bad_number(512);
    }
    if (lies_about(ENTRIES, 20))
        stray_entry();
    if (command == ENTER_RETURN && kind == ENTRIES) {
        if (one_in(2))
            t->event |= EVENT_SYNC; /* the next AEX is answered as an exception */
        if (one_in(2000))
            command = random_bits() % 5;
        argument = random_bits();
    }
    return __real_host_enter(t, command, argument);
}

/* ---- struct boot_info, and memory that changes while it is read ------------------------ */

static void spoil_boot(struct boot_info *b)
{
    uint64_t *address[] = {
        &b->vcpu_shared,       &b->pool_address,         &b->image[0].host_address,
        &b->argv.host_address, &b->envp.host_address,    &b->program.host_address,
        &b->cwd.host_address,  &b->cpuid_address,        &b->hostname.host_address,
        &b->enclave_base,      &b->image[1].host_address};
    uint64_t *number[] = {&b->pool_size,     &b->tsc_hz,       &b->memory_bytes,
                          &b->image[0].size, &b->argv.size,    &b->envp.size,
                          &b->program.size,  &b->cwd.size,     &b->image[2].size,
                          &b->magic,         &b->enclave_size, &b->hostname.size};
    uint32_t *small[] = {&b->vcpu_count, &b->log_level,      &b->platform,   &b->uid,
                         &b->argv.count, &b->envp.count,     &b->cwd.count,  &b->program.count,
                         &b->version,    &b->hostname.count, &b->cpuid_count, &b->flags};

    void *text = (void *)b->argv.host_address, *cpuid = (void *)b->cpuid_address;

    for (unsigned n = 1 + (unsigned)(random_bits() % 2); n; n--) {
        uint64_t r = random_bits();
        if (r % 4 == 0)
            *address[(r >> 8) % 11] = bad_address();
        else if (r % 4 == 1)
            *number[(r >> 8) % 12] = bad_number(*number[(r >> 8) % 12]);
        else if (r % 4 == 2)
            *small[(r >> 8) % 12] = (uint32_t)bad_number(*small[(r >> 8) % 12]);
        else /* strings and tables: no NULs, other bytes */
            spoil(r >> 8 & 1 ? text : cpuid, 16);
    }
}

static void *racer(void *arg)
{
    for (;;) {
        uint32_t i = (uint32_t)(random_bits() % machine->count);
        struct vcpu_host *v = &machine->vcpu[i];
        const struct ring_map *m = &v->ring.map;

        if (!__atomic_load_n(&v->running, __ATOMIC_SEQ_CST))
            continue;
        switch (random_bits() % 4) {
        case 0:
            v->shared->call.result = (int64_t)bad_number(0);
            break;
        case 1:
            spoil((void *)m->cqes, m->cq_entries * sizeof(struct ring_cqe));
            break;
        case 2: /* the answers' places in the pool */
            spoil((char *)machine->boot->pool_address + i * 65536, 65536);
            break;
        default:
            __atomic_fetch_add((uint32_t *)m->cq_tail, 1, __ATOMIC_RELEASE);
        }
        for (volatile unsigned n = (unsigned)(random_bits() % 20000); n; n--)
            ;
    }
    return NULL;
}

/* A request to start a program, as it should be but for a few bytes. */
static size_t request(char *to)
{
    static const char strings[] = "/bin/lied_to\0/\0lied_to\0x\0A=b\0C=d";
    struct control_exec head = {.fd = {-1, 1 << 20, -7}, .argc = 2, .envc = 2};
    size_t size = sizeof(head) + sizeof(strings);

    head.flags = (uint32_t)random_bits() & 3;
    memcpy(to, &head, sizeof(head));
    memcpy(to + sizeof(head), strings, sizeof(strings));
    if (one_in(2))
        spoil(to, size);
    return one_in(4) ? (size_t)bad_number(size) : size;
}

/* Requests that nobody made, in any number and order; in the end, that the service stops. */
static void *controller(void *arg)
{
    struct control_page *page = machine->control->page;
    static char payload[64][512] __attribute__((aligned(8)));

    for (unsigned n = 0; n < 400; n++) {
        struct control_request *r = &page->slot[page->posted % CONTROL_SLOTS];
        char *bytes = payload[n % 64];
        *r = (struct control_request){.kind = (uint32_t)random_bits() % CONTROL_STOP,
                                      .id = (uint32_t)random_bits() % 8,
                                      .value = random_bits(),
                                      .size = request(bytes)};
        r->address = one_in(8) ? (seed & 1 ? bad_address() : 8) : (uint64_t)bytes;
        page->posted += one_in(50) ? random_bits() % 100 : 1;
        page->signals = one_in(4) ? bad_number(0) : 0;
        vcpu_alert(machine, 0);
        usleep(500);
    }
    for (;;) {
        page->slot[page->posted % CONTROL_SLOTS] =
            (struct control_request){.kind = CONTROL_STOP, .id = 1};
        page->posted++;
        vcpu_alert(machine, 0);
        usleep(10000);
    }
    return arg;
}

int __wrap_machine_run(struct machine *m, struct host_error *err)
{
    pthread_t thread;

    machine = m;
    if (kind == BOOT)
        spoil_boot(m->boot);
    if (kind == CONTROL) {
        m->boot->service = 1;
        if (!pthread_create(&thread, NULL, controller, NULL))
            pthread_detach(thread);
    }
    if (kind == RACES && !pthread_create(&thread, NULL, racer, NULL))
        pthread_detach(thread);
    int rc = __real_machine_run(m, err);
    /* Threads of ours may be inside still: what they use must stay. */
    if (kind == RACES || kind == ENTRIES || kind == CONTROL || kind == ALL)
        _exit(rc || m->status & HOST_STATUS_PANIC ? 125 : (int)(m->status >> 8 & 0xff));
    return rc;
}
