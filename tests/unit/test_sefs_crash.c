/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The store against crashes, a failing device and a host that changes what it keeps. A seeded
 * workload runs on a device that records every write and flush; for every prefix of that
 * record, and for random choices of what of the unflushed writes arrived, the store opens, the
 * check finds nothing, and the state is one between the last commit that was acknowledged and
 * now. All keys and nonces of all of it are kept, and none comes twice.
 *
 * LINK: tests/unit/sefs_mem.c image/sefs/port.c kernel/fs/sefs/[!v]*.c kernel/crypto/*.c
 * LINK: kernel/lib/radix.c
 * LIBS: -l:libIPSec_MB.a
 * FLAGS: -Wl,--wrap=aes_gcm_seal TIMEOUT: 300
 */
#include <errno.h>
#include <string.h>

#include "abi/stat.h"
#include "crypto/aes.h"
#include "crypto/sha256.h"
#include "image/sefs/port.h"
#include "tests/unit/sefs_mem.h"
#include "tests/unit/unit.h"

#define BLOCKS 1024u
#define OPS    260u

/* ---- every key and nonce ---- */

static uint64_t *nonces;
static size_t nonce_count, nonce_size;

void __real_aes_gcm_seal(const struct aes_gcm *k, const struct aes_gcm_op *op);
void __wrap_aes_gcm_seal(const struct aes_gcm *k, const struct aes_gcm_op *op);
void __wrap_aes_gcm_seal(const struct aes_gcm *k, const struct aes_gcm_op *op)
{
    uint8_t hash[32], both[32 + AES_GCM_NONCE];
    sha256(k->data, 240, both);
    memcpy(both + 32, op->nonce, AES_GCM_NONCE);
    sha256(both, sizeof(both), hash);
    if (nonce_count == nonce_size) {
        nonce_size = nonce_size * 2 + 1024;
        nonces = realloc(nonces, nonce_size * sizeof(*nonces));
    }
    memcpy(&nonces[nonce_count++], hash, 8);
    __real_aes_gcm_seal(k, op);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void check_nonces(void)
{
    qsort(nonces, nonce_count, sizeof(*nonces), compare);
    for (size_t i = 1; i < nonce_count; i++)
        CHECK(nonces[i] != nonces[i - 1]);
    fprintf(stderr, "%zu pairs of key and nonce, all different\n", nonce_count);
    free(nonces);
}

/* ---- a workload, and what a state is ---- */

static void digest_file(struct store *s, uint64_t ino, struct sha256_state *h)
{
    static uint8_t data[SEFS_BLOCK];
    void *out[1] = {data};
    for (uint64_t b = 0; b < 40; b++) {
        memset(data, 0, sizeof(data));
        CHECK_EQ(store_read(s, ino, b, out, 1), 0);
        sha256_update(h, data, sizeof(data));
    }
}

static uint64_t digest(struct store *s)
{
    struct sha256_state h;
    uint8_t out[32];
    uint64_t r;
    struct store_entry e = {0};
    sha256_begin(&h);
    while (store_readdir(s, SEFS_ROOT_INO, e.cookie, &e) == 1) {
        struct sefs_inode i;
        /* the cookies depend on the store's own key */
        CHECK_EQ(store_inode_get(s, e.ino, &i), 0);
        sha256_update(&h, e.name, e.len);
        sha256_update(&h, &e.ino, sizeof(e.ino));
        sha256_update(&h, &i, sizeof(i));
        digest_file(s, e.ino, &h);
    }
    sha256_end(&h, out);
    memcpy(&r, out, sizeof(r));
    return r;
}

static int op_write(struct store *s, uint64_t ino)
{
    static uint8_t data[8][SEFS_BLOCK];
    struct store_page p[8];
    size_t n = 1 + unit_random() % 8;
    uint64_t at = unit_random() % 32;
    for (size_t i = 0; i < n; i++) {
        memset(data[i], (int)unit_random(), SEFS_BLOCK);
        p[i] = (struct store_page){ino, at + i, data[i]};
    }
    ssize_t r = store_write(s, p, n);
    return r < 0 ? (int)r : 0;
}

/* One operation; 1: it was a commit. Errors of the device come back. */
static int op_random(struct store *s)
{
    char name[8], other[8];
    uint64_t ino;
    unsigned kind = (unsigned)(unit_random() % 100);
    snprintf(name, sizeof(name), "n%u", (unsigned)(unit_random() % 20));
    snprintf(other, sizeof(other), "n%u", (unsigned)(unit_random() % 20));
    if (kind < 15) {
        int r = store_commit(s);
        return r < 0 ? r : 1;
    }
    int r = store_lookup(s, SEFS_ROOT_INO, name, &ino);
    if (r == -ENOENT) {
        struct store_new n = {.mode = S_IFREG | 0600};
        return store_create(s, SEFS_ROOT_INO, name, &n, &ino);
    }
    if (r < 0)
        return r;
    if (kind < 60)
        return op_write(s, ino);
    if (kind < 70)
        return store_punch(s, ino, unit_random() % 10, 10 + unit_random() % 30);
    struct store_rename mv = {SEFS_ROOT_INO, SEFS_ROOT_INO, name, other, kind & 1};
    if (kind < 80) {
        r = store_rename(s, &mv);
        return r == -ENOENT ? 0 : r;
    }
    r = store_unlink(s, SEFS_ROOT_INO, name);
    if (r == 0 && kind < 95)
        r = store_remove_orphans(s);
    return r;
}

static uint64_t states[OPS + 1];
static size_t began[OPS + 1]; /* length of the record when the operation began */
static size_t acked[OPS + 1]; /* when it was acknowledged as a commit; 0: it is none */
static unsigned state_count;

static void record_workload(struct mem_dev *m, struct mem_dev *before)
{
    struct store *s = mem_store(m, BLOCKS);
    mem_dev_copy(before, m);
    m->recording = true;
    states[0] = digest(s);
    for (unsigned i = 1; i <= OPS; i++) {
        began[i] = m->log_count;
        int r = op_random(s);
        CHECK(r >= 0);
        acked[i] = r == 1 ? m->log_count : 0;
        states[i] = digest(s);
    }
    state_count = OPS;
    m->recording = false;
    store_close(s);
}

static bool state_allowed(uint64_t state, size_t at)
{
    unsigned first = 0, last = 0;
    for (unsigned i = 1; i <= state_count; i++) {
        if (began[i] <= at)
            last = i;
        if (acked[i] && acked[i] <= at)
            first = i;
    }
    for (unsigned i = first; i <= last; i++) {
        if (states[i] == state)
            return true;
    }
    return false;
}

static void report(struct store_check *c, const char *text)
{
    (void)c;
    fprintf(stderr, "check: %s\n", text);
}

static void check_image(struct mem_dev *image, size_t at)
{
    struct store_check c = {.problem = report};
    struct store *s = mem_reopen(image, BLOCKS);
    CHECK(s);
    CHECK_EQ(store_check(s, &c), 0);
    CHECK(state_allowed(digest(s), at));
    store_close(s);
}

/* Life goes on after the crash. */
static void check_continue(const struct mem_dev *image)
{
    struct mem_dev m;
    struct store_check c = {.problem = report};
    mem_dev_copy(&m, image);
    struct store *s = mem_reopen(&m, BLOCKS);
    CHECK(s);
    CHECK_EQ(store_remove_orphans(s), 0);
    for (int i = 0; i < 10; i++)
        CHECK(op_random(s) >= 0);
    CHECK_EQ(store_commit(s), 0);
    uint64_t state = digest(s);
    store_close(s);
    s = mem_reopen(&m, BLOCKS);
    CHECK(s);
    CHECK_EQ(store_check(s, &c), 0);
    CHECK_EQ(digest(s), state);
    store_close(s);
    mem_dev_fini(&m);
}

/* Writes [from, to) of the record arrive, each or not, or only its first half. */
static void apply_some(struct mem_dev *image, const struct mem_dev *m, size_t from, size_t to)
{
    unsigned share = (unsigned)(unit_random() % 10);
    for (size_t i = from; i < to; i++) {
        unsigned dice = (unsigned)(unit_random() % 10);
        const struct mem_write *w = &m->log[i];
        if (w->data && dice >= share)
            memcpy(image->bytes + w->block * SEFS_BLOCK, w->data,
                   dice == 9 && share ? SEFS_BLOCK / 2 : SEFS_BLOCK);
    }
}

static void play(struct mem_dev *m, struct mem_dev *durable)
{
    struct mem_dev now;
    size_t flushed = 0;
    mem_dev_copy(&now, durable);
    for (size_t at = 0; at <= m->log_count; at++) {
        check_image(&now, at);
        if (at % 7 == 0)
            check_continue(&now);
        for (int i = 0; i < 4; i++) {
            struct mem_dev mixed;
            mem_dev_copy(&mixed, durable);
            apply_some(&mixed, m, flushed, at);
            check_image(&mixed, at);
            mem_dev_fini(&mixed);
        }
        if (at == m->log_count)
            break;
        const struct mem_write *w = &m->log[at];
        if (w->data) {
            memcpy(now.bytes + w->block * SEFS_BLOCK, w->data, SEFS_BLOCK);
        } else {
            memcpy(durable->bytes, now.bytes, BLOCKS * SEFS_BLOCK);
            flushed = at + 1;
        }
    }
    mem_dev_fini(&now);
}

static void test_crashes(void)
{
    struct mem_dev m, before;
    mem_dev_init(&m, BLOCKS);
    record_workload(&m, &before);
    fprintf(stderr, "%zu writes and flushes\n", m.log_count);
    play(&m, &before);
    mem_dev_fini(&before);
    mem_dev_fini(&m);
}

/* ---- a device that fails ---- */

/* The n-th call fails, once or from then on; what was acknowledged before is there after. */
static void fail_at(long n, int error, bool once)
{
    struct mem_dev m;
    struct store_check c = {.problem = report};
    uint64_t sure = 0;
    mem_dev_init(&m, BLOCKS);
    struct store *s = mem_store(&m, BLOCKS);
    m.fail_after = n;
    m.error = error;
    m.fail_once = once;
    for (int i = 0; i < 40; i++) {
        int r = op_random(s);
        CHECK(r >= 0 || r == -EIO || r == -ENOSPC);
    }
    m.fail_after = -1;
    int r = store_commit(s);
    CHECK(r == 0 || r == -EIO);
    if (r == 0)
        sure = digest(s);
    store_close(s);
    s = mem_reopen(&m, BLOCKS);
    CHECK(s);
    CHECK_EQ(store_check(s, &c), 0);
    if (r == 0)
        CHECK_EQ(digest(s), sure);
    store_close(s);
    mem_dev_fini(&m);
}

static void test_failures(void)
{
    port_log_quiet = true;
    for (long n = 0; n < 120; n++) {
        fail_at(n, EIO, false);
        fail_at(n, EIO, true);
        fail_at(n, ENOSPC, true);
    }
    port_log_quiet = false;
}

static void test_no_memory(void)
{
    port_log_quiet = true;
    for (long n = 0; n < 300; n++) {
        struct mem_dev m;
        struct store_check c = {.problem = report};
        mem_dev_init(&m, BLOCKS);
        struct store *s = mem_store(&m, BLOCKS);
        for (int i = 0; i < 30; i++) {
            port_fail_after = (long)(unit_random() % 12);
            int r = op_random(s);
            CHECK(r >= 0 || r == -ENOMEM);
        }
        port_fail_after = -1;
        CHECK_EQ(store_commit(s), 0);
        store_close(s);
        s = mem_reopen(&m, BLOCKS);
        CHECK(s);
        CHECK_EQ(store_check(s, &c), 0);
        store_close(s);
        mem_dev_fini(&m);
    }
    port_log_quiet = false;
}

/* ---- a host that changes what it keeps ---- */

/* Everything reachable reads, and nothing was said; else it was noticed. */
static bool notices(struct mem_dev *m)
{
    struct store_check c = {0};
    unsigned lines = port_log_lines;
    struct store *s = mem_reopen(m, BLOCKS);
    int64_t r = s ? store_check(s, &c) : 1;
    store_close(s);
    if (r)
        CHECK(port_log_lines > lines);
    return r != 0;
}

static void change(struct mem_dev *m, const struct mem_dev *old, uint64_t block, int how)
{
    uint8_t *at = m->bytes + block * SEFS_BLOCK;
    uint64_t other = 3 + unit_random() % (BLOCKS - 3);
    switch (how) {
    case 0: /* one bit */
        at[unit_random() % SEFS_BLOCK] ^= (uint8_t)(1u << unit_random() % 8);
        break;
    case 1: /* another block of the same store */
        memcpy(at, m->bytes + other * SEFS_BLOCK, SEFS_BLOCK);
        break;
    case 2:
        memset(at, 0, SEFS_BLOCK);
        break;
    case 3: /* what was there before */
        memcpy(at, old->bytes + block * SEFS_BLOCK, SEFS_BLOCK);
        break;
    default: /* two change places */
        for (size_t i = 0; i < SEFS_BLOCK; i++) {
            uint8_t b = at[i];
            at[i] = m->bytes[other * SEFS_BLOCK + i];
            m->bytes[other * SEFS_BLOCK + i] = b;
        }
    }
}

/* Several changes anywhere, superblock and root slots included: MUTATIONS of them. What the
 * last commit needs and is not the same any more is noticed; damage to a root slot can look
 * like a crash. */
static void mutate(const struct mem_dev *m, const struct mem_dev *old, const uint8_t *used)
{
    const char *wanted = getenv("MUTATIONS");
    long count = wanted ? atol(wanted) : 300, noticed = 0;
    for (long i = 0; i < count; i++) {
        struct mem_dev copy;
        mem_dev_copy(&copy, m);
        for (unsigned n = 1 + unit_random() % 3; n; n--)
            change(&copy, old, unit_random() % BLOCKS, (int)(unit_random() % 5));
        bool roots = memcmp(copy.bytes, m->bytes, (size_t)SEFS_FIRST * SEFS_BLOCK) != 0;
        bool must = false;
        for (uint64_t b = SEFS_FIRST; b < BLOCKS && !roots; b++)
            must |= used[b] && memcmp(copy.bytes + b * SEFS_BLOCK, m->bytes + b * SEFS_BLOCK,
                                      SEFS_BLOCK) != 0;
        bool saw = notices(&copy);
        CHECK(saw || !must);
        noticed += saw;
        mem_dev_fini(&copy);
    }
    fprintf(stderr, "%ld of %ld random mutations noticed\n", noticed, count);
}

static void test_tamper(void)
{
    struct mem_dev m, old, copy;
    uint8_t used[BLOCKS] = {0};
    mem_dev_init(&m, BLOCKS);
    struct store *s = mem_store(&m, BLOCKS);
    for (int i = 0; i < 60; i++)
        CHECK(op_random(s) >= 0);
    CHECK_EQ(store_commit(s), 0);
    mem_dev_copy(&old, &m);
    for (int i = 0; i < 60; i++)
        CHECK(op_random(s) >= 0);
    CHECK_EQ(store_remove_orphans(s), 0);
    store_settle(s);
    CHECK_EQ(store_commit(s), 0);
    for (uint64_t b = 3; b < BLOCKS; b++)
        used[b] = store_block_used(s, b);
    store_close(s);
    port_log_quiet = true;
    CHECK(!notices(&m));
    unsigned tried = 0;
    for (uint64_t b = 3; b < BLOCKS; b++) {
        for (int how = 0; how < 5; how++) {
            mem_dev_copy(&copy, &m);
            change(&copy, &old, b, how);
            bool differs =
                memcmp(copy.bytes + b * SEFS_BLOCK, m.bytes + b * SEFS_BLOCK, SEFS_BLOCK) != 0;
            if (used[b] && differs) {
                CHECK(notices(&copy));
                tried++;
            }
            mem_dev_fini(&copy);
        }
    }
    mutate(&m, &old, used);
    for (uint64_t keep = 0; keep < 40; keep++) { /* cut off */
        mem_dev_copy(&copy, &m);
        copy.blocks = keep;
        CHECK(notices(&copy));
        mem_dev_fini(&copy);
    }
    port_log_quiet = false;
    fprintf(stderr, "%u changes noticed\n", tried);
    mem_dev_fini(&m);
    mem_dev_fini(&old);
}

/* An old file in place of the new one opens, being whole; its root says that it is old. */
static void test_rollback(void)
{
    struct mem_dev m, old;
    uint8_t then[32], now[32], seen[32];
    mem_dev_init(&m, BLOCKS);
    struct store *s = mem_store(&m, BLOCKS);
    for (int i = 0; i < 30; i++)
        CHECK(op_random(s) >= 0);
    CHECK_EQ(store_commit(s), 0);
    store_root_id(s, then);
    mem_dev_copy(&old, &m);
    for (int i = 0; i < 30; i++)
        CHECK(op_random(s) >= 0);
    CHECK_EQ(store_commit(s), 0);
    store_root_id(s, now);
    store_close(s);
    s = mem_reopen(&m, BLOCKS);
    store_root_id(s, seen);
    CHECK(memcmp(seen, now, 32) == 0 && memcmp(seen, then, 32) != 0);
    store_close(s);
    s = mem_reopen(&old, BLOCKS);
    store_root_id(s, seen);
    CHECK(memcmp(seen, then, 32) == 0);
    for (int i = 0; i < 30; i++) /* and whatever is written to it is under other keys */
        CHECK(op_random(s) >= 0);
    CHECK_EQ(store_commit(s), 0);
    store_close(s);
    mem_dev_fini(&m);
    mem_dev_fini(&old);
}

int main(void)
{
    port_init();
    port_log_quiet = true;
    test_crashes();
    test_failures();
    test_no_memory();
    test_tamper();
    test_rollback();
    check_nonces();
    CHECK_EQ(port_live, 0);
    return 0;
}
