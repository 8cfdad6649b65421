/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The store on a device in memory: a model of plain structures goes through the same random
 * operations; after each commit and reopening both must agree, and the check finds nothing.
 *
 * LINK: tests/unit/sefs_mem.c image/sefs/port.c kernel/fs/sefs/[!v]*.c kernel/crypto/*.c
 * LINK: kernel/lib/radix.c
 * LIBS: -l:libIPSec_MB.a
 */
#include <errno.h>
#include <string.h>

#include "abi/fcntl.h"
#include "abi/stat.h"
#include "fs/sefs/internal.h"
#include "image/sefs/port.h"
#include "tests/unit/sefs_mem.h"
#include "tests/unit/unit.h"

#define LIMIT 8192u

static void report(struct store_check *c, const char *text)
{
    (void)c;
    fprintf(stderr, "check: %s\n", text);
}

static void check_whole(struct store *s)
{
    struct store_check c = {.problem = report};
    CHECK_EQ(store_check(s, &c), 0);
}

static struct store *again(struct mem_dev *m, struct store *s)
{
    CHECK_EQ(store_commit(s), 0);
    check_whole(s);
    store_close(s);
    s = mem_reopen(m, LIMIT);
    CHECK(s);
    check_whole(s);
    return s;
}

static uint64_t make(struct store *s, uint64_t dir, const char *name, uint32_t mode)
{
    struct store_new n = {.mode = mode};
    uint64_t ino;
    CHECK_EQ(store_create(s, dir, name, &n, &ino), 0);
    return ino;
}

static void put(struct store *s, uint64_t ino, uint64_t block, uint8_t value, size_t count)
{
    static uint8_t data[64][SEFS_BLOCK];
    struct store_page pages[64];
    for (size_t i = 0; i < count; i++) {
        memset(data[i], value, SEFS_BLOCK);
        pages[i] = (struct store_page){ino, block + i, data[i]};
    }
    CHECK_EQ(store_write(s, pages, count), count);
}

static uint8_t get(struct store *s, uint64_t ino, uint64_t block)
{
    static uint8_t data[SEFS_BLOCK];
    void *out[1] = {data};
    memset(data, 0, sizeof(data));
    CHECK_EQ(store_read(s, ino, block, out, 1), 0);
    for (size_t i = 1; i < SEFS_BLOCK; i++)
        CHECK_EQ(data[i], data[0]);
    return data[0];
}

static void test_names(void)
{
    struct mem_dev m;
    char name[40];
    uint64_t ino;
    mem_dev_init(&m, LIMIT);
    struct store *s = mem_store(&m, LIMIT);
    CHECK(s);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "a file with the number %d", i);
        make(s, SEFS_ROOT_INO, name, S_IFREG | 0644);
    }
    s = again(&m, s);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "a file with the number %d", i);
        CHECK_EQ(store_lookup(s, SEFS_ROOT_INO, name, &ino), 0);
    }
    struct store_entry e = {0};
    unsigned count = 0;
    while (store_readdir(s, SEFS_ROOT_INO, e.cookie, &e) == 1)
        count++;
    CHECK_EQ(count, 3000);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "a file with the number %d", i);
        CHECK_EQ(store_lookup(s, SEFS_ROOT_INO, name, &ino), 0);
        CHECK_EQ(store_unlink(s, SEFS_ROOT_INO, name), 0);
        CHECK_EQ(store_lookup(s, SEFS_ROOT_INO, name, &(uint64_t){0}), -ENOENT);
        CHECK_EQ(store_remove(s, ino), 0);
    }
    s = again(&m, s);
    struct store_stats st;
    store_stats(s, &st);
    CHECK_EQ(st.inodes, 1);
    CHECK_EQ(st.height, 1);
    CHECK(st.used_blocks < 16);
    store_close(s);
    mem_dev_fini(&m);
}

static void test_renames(void)
{
    struct mem_dev m;
    struct sefs_inode i;
    mem_dev_init(&m, LIMIT);
    struct store *s = mem_store(&m, LIMIT);
    uint64_t a = make(s, 1, "a", S_IFDIR | 0755), b = make(s, 1, "b", S_IFDIR | 0755), ino;
    uint64_t f = make(s, a, "f", S_IFREG | 0600), g = make(s, b, "g", S_IFREG | 0600);
    struct store_rename r = {a, b, "f", "g", false};
    CHECK_EQ(store_rename(s, &r), 0);
    CHECK_EQ(store_lookup(s, b, "g", &ino), 0);
    CHECK_EQ(ino, f);
    CHECK_EQ(store_inode_get(s, g, &i), 0);
    CHECK_EQ(i.nlink, 0);
    CHECK_EQ(store_remove_orphans(s), 0);
    CHECK_EQ(store_inode_get(s, g, &i), -EIO);
    r = (struct store_rename){1, b, "a", "a", false};
    CHECK_EQ(store_rename(s, &r), 0);
    CHECK_EQ(store_inode_get(s, b, &i), 0);
    CHECK_EQ(i.nlink, 3);
    CHECK_EQ(store_inode_get(s, a, &i), 0);
    CHECK_EQ(i.parent, b);
    r = (struct store_rename){1, b, "b", "g", true};
    uint64_t d = make(s, 1, "d", S_IFDIR | 0755);
    r = (struct store_rename){1, b, "d", "g", true};
    CHECK_EQ(store_rename(s, &r), 0);
    CHECK_EQ(store_inode_get(s, d, &i), 0);
    CHECK_EQ(i.parent, b);
    CHECK_EQ(store_unlink(s, 1, "b"), -ENOTEMPTY);
    CHECK_EQ(store_link(s, 1, "second", f), 0);
    CHECK_EQ(store_inode_get(s, f, &i), 0);
    CHECK_EQ(i.nlink, 2);
    s = again(&m, s);
    store_close(s);
    mem_dev_fini(&m);
}

static void test_contents(void)
{
    struct mem_dev m;
    uint64_t start, end;
    struct sefs_inode i;
    mem_dev_init(&m, LIMIT);
    struct store *s = mem_store(&m, LIMIT);
    uint64_t f = make(s, 1, "f", S_IFREG | 0600);
    put(s, f, 0, 1, 64);
    put(s, f, 64, 2, 40);
    put(s, f, 10, 3, 1);
    put(s, f, 1ull << 40, 4, 2);
    s = again(&m, s);
    CHECK_EQ(get(s, f, 9), 1);
    CHECK_EQ(get(s, f, 10), 3);
    CHECK_EQ(get(s, f, 11), 1);
    CHECK_EQ(get(s, f, 103), 2);
    CHECK_EQ(get(s, f, 104), 0);
    CHECK_EQ(get(s, f, (1ull << 40) + 1), 4);
    CHECK_EQ(store_next_data(s, f, 5, &start, &end), 1);
    CHECK_EQ(start, 5);
    CHECK_EQ(end, 104);
    CHECK_EQ(store_next_data(s, f, 104, &start, &end), 1);
    CHECK_EQ(start, 1ull << 40);
    CHECK_EQ(store_punch(s, f, 5, 70), 0);
    CHECK_EQ(store_inode_get(s, f, &i), 0);
    CHECK_EQ(i.blocks, 106 - 65);
    CHECK_EQ(store_reserve(s, f, 0, 100), 0);
    CHECK_EQ(store_inode_get(s, f, &i), 0);
    CHECK_EQ(i.blocks, 106);
    CHECK_EQ(get(s, f, 6), 0);
    put(s, f, 7, 9, 1);
    s = again(&m, s);
    CHECK_EQ(get(s, f, 6), 0);
    CHECK_EQ(get(s, f, 7), 9);
    CHECK_EQ(get(s, f, 70), 2);
    CHECK_EQ(store_shift(s, f, 7, 100), 0);
    CHECK_EQ(get(s, f, 4), 1);
    CHECK_EQ(get(s, f, 107), 9);
    CHECK_EQ(get(s, f, 7), 0);
    CHECK_EQ(store_shift(s, f, 107, -100), 0);
    CHECK_EQ(get(s, f, 7), 9);
    CHECK_EQ(get(s, f, 1ull << 40), 4);
    CHECK_EQ(store_unlink(s, 1, "f"), 0);
    CHECK_EQ(store_remove(s, f), 0);
    s = again(&m, s);
    struct store_stats st;
    store_stats(s, &st);
    CHECK(st.used_blocks < 16);
    store_close(s);
    mem_dev_fini(&m);
}

static void test_xattrs(void)
{
    static char big[60000], out[60000];
    struct mem_dev m;
    mem_dev_init(&m, LIMIT);
    struct store *s = mem_store(&m, LIMIT);
    memset(big, 'x', sizeof(big));
    for (size_t size = 0; size <= sizeof(big); size = size * 3 + 1) {
        struct store_xattr x = {.name = "user.some", .value = big, .size = size};
        CHECK_EQ(store_xattr_set(s, 1, &x), 0);
        CHECK_EQ(store_xattr_get(s, 1, "user.some", out, sizeof(out)), size);
        CHECK(memcmp(out, big, size) == 0);
    }
    struct store_xattr y = {.name = "user.y", .value = "1", .size = 1, .flags = XATTR_REPLACE};
    CHECK_EQ(store_xattr_set(s, 1, &y), -ENODATA);
    y.flags = XATTR_CREATE;
    CHECK_EQ(store_xattr_set(s, 1, &y), 0);
    CHECK_EQ(store_xattr_set(s, 1, &y), -EEXIST);
    CHECK_EQ(store_xattr_list(s, 1, out, sizeof(out)), 10 + 7);
    CHECK_EQ(store_xattr_list(s, 1, out, 8), -ERANGE);
    y = (struct store_xattr){.name = "user.y"};
    CHECK_EQ(store_xattr_set(s, 1, &y), 0);
    CHECK_EQ(store_xattr_get(s, 1, "user.y", NULL, 0), -ENODATA);
    s = again(&m, s);
    store_close(s);
    mem_dev_fini(&m);
}

/* Random writes and holes in a few files, against an array; space is reused for ever. */
static void set_key(struct store *s, uint64_t ino, uint64_t i)
{
    static const uint8_t value[1000];
    CHECK_EQ(store_op_begin(s, 8), 0);
    CHECK_EQ(btree_set(s, SEFS_KEY(ino, SEFS_ITEM_XATTR, i), value, sizeof(value)), 0);
}

/* A range of keys goes, and comes again from its upper end: what comes lies below the first key
 * of a node whose first children went, and splits its first child there. */
static void test_downwards(void)
{
    struct mem_dev m;
    mem_dev_init(&m, LIMIT);
    struct store *s = mem_store(&m, LIMIT);
    uint64_t ino = make(s, 1, "file", S_IFREG | 0644);
    for (uint64_t i = 0; i < 2000; i++)
        set_key(s, ino, i);
    for (uint64_t i = 500; i < 1500; i++) {
        CHECK_EQ(store_op_begin(s, 8), 0);
        CHECK_EQ(btree_remove(s, SEFS_KEY(ino, SEFS_ITEM_XATTR, i)), 0);
    }
    for (uint64_t i = 1500; i-- > 500;) {
        set_key(s, ino, i);
        if (i % 50 == 0)
            s = again(&m, s);
    }
    store_close(s);
    mem_dev_fini(&m);
}

static void test_random(void)
{
    enum { FILES = 4, BLOCKS = 300 };
    static uint8_t model[FILES][BLOCKS];
    uint64_t ino[FILES];
    struct mem_dev m;
    mem_dev_init(&m, LIMIT);
    struct store *s = mem_store(&m, LIMIT);
    for (int i = 0; i < FILES; i++)
        ino[i] = make(s, 1, (char[]){(char)('a' + i), 0}, S_IFREG | 0600);
    for (int step = 0; step < 20000; step++) {
        unsigned f = (unsigned)(unit_random() % FILES), at = (unsigned)(unit_random() % BLOCKS);
        unsigned n = (unsigned)(1 + unit_random() % 20), kind = (unsigned)(unit_random() % 100);
        n = n > BLOCKS - at ? BLOCKS - at : n;
        if (kind < 70) {
            put(s, ino[f], at, (uint8_t)step, n);
            memset(model[f] + at, (uint8_t)step, n);
        } else if (kind < 80) {
            CHECK_EQ(store_punch(s, ino[f], at, at + n), 0);
            memset(model[f] + at, 0, n);
        } else if (kind < 95) {
            CHECK_EQ(get(s, ino[f], at), model[f][at]);
        } else if (kind < 97) {
            CHECK_EQ(store_commit(s), 0);
        } else if (kind < 99) { /* others go on during the flush */
            CHECK_EQ(store_commit_begin(s), 0);
            for (int k = 0; k < 30; k++, at = (at + 7) % BLOCKS) {
                put(s, ino[f], at, (uint8_t)(step + k), 1);
                model[f][at] = (uint8_t)(step + k);
            }
            CHECK_EQ(store_commit_end(s, store_commit_flush(s)), 0);
        } else {
            s = again(&m, s);
        }
    }
    struct store_stats st;
    store_stats(s, &st);
    CHECK(st.used_blocks < FILES * BLOCKS + 200);
    store_close(s);
    mem_dev_fini(&m);
}

static void test_full(void)
{
    struct mem_dev m;
    mem_dev_init(&m, 1024);
    struct store *s = mem_store(&m, 1024);
    uint64_t f = make(s, 1, "f", S_IFREG | 0600), block = 0;
    static uint8_t data[SEFS_BLOCK];
    for (;; block++) {
        struct store_page p = {f, block, data};
        ssize_t r = store_write(s, &p, 1);
        if (r < 0) {
            CHECK_EQ(r, -ENOSPC);
            if (!store_reclaimable(s))
                break;
            CHECK_EQ(store_commit(s), 0);
            block--;
            continue;
        }
        CHECK_EQ(r, 1);
        CHECK(block < 1024);
    }
    CHECK(block > 700);
    CHECK_EQ(store_unlink(s, 1, "f"), 0);
    CHECK_EQ(store_remove(s, f), 0);
    CHECK_EQ(store_commit(s), 0);
    CHECK(m.punched > 500);
    store_set_limit(s, 2048);
    check_whole(s);
    store_close(s);
    mem_dev_fini(&m);
}

/* One page and a commit, over and over, as a database does: what is not the root should lie
 * side by side, and the file seldom grow. */
static void test_small_commits(void)
{
    struct mem_dev m;
    mem_dev_init(&m, LIMIT);
    struct store *s = mem_store(&m, LIMIT);
    uint64_t ino = make(s, SEFS_ROOT_INO, "journal", S_IFREG | 0600), runs = 0, growths = 0;
    put(s, ino, 0, 1, 64);
    s = again(&m, s);
    m.recording = true;
    for (unsigned i = 0, state = 1; i < 300; i++) {
        state = state * 1103515245u + 12345u;
        put(s, ino, state >> 16 & 63, (uint8_t)i, 1);
        CHECK_EQ(store_commit(s), 0);
    }
    uint64_t last = 0, end = 0;
    for (size_t i = 0; i < m.log_count; i++) {
        uint64_t block = m.log[i].block;
        if (!m.log[i].data || block < SEFS_FIRST)
            continue;
        runs += block != last + 1;
        growths += block >= end && block != last + 1;
        end = MAX(end, block + 1);
        last = block;
    }
    CHECK(runs < 300 * 3 / 2 && growths < 30);
    CHECK(end < 300);
    m.recording = false;
    s = again(&m, s);
    store_close(s);
    mem_dev_log_clear(&m);
    mem_dev_fini(&m);
}

/* Reading in two steps gives what one gives; what changed in between does not open, or is what
 * was there. */
static void test_fetch(void)
{
    static uint8_t data[2][STORE_FETCH_MAX][SEFS_BLOCK];
    void *out[2][STORE_FETCH_MAX];
    struct mem_dev m;
    mem_dev_init(&m, LIMIT);
    struct store *s = mem_store(&m, LIMIT);
    uint64_t ino = make(s, SEFS_ROOT_INO, "file", S_IFREG | 0600);
    struct store_fetch *f = store_fetch_new();
    CHECK(f);
    for (unsigned i = 0; i < STORE_FETCH_MAX; i++)
        out[0][i] = data[0][i], out[1][i] = data[1][i];
    for (unsigned round = 0; round < 300; round++) {
        uint64_t at = unit_random() % 100;
        put(s, ino, unit_random() % 100, (uint8_t)round, 1 + unit_random() % 20);
        if (round % 3 == 0)
            CHECK_EQ(store_punch(s, ino, at, at + unit_random() % 20), 0);
        if (round % 2)
            CHECK_EQ(store_commit(s), 0);
        memset(data, 0, sizeof(data));
        CHECK_EQ(store_read(s, ino, at, out[1], STORE_FETCH_MAX), 0);
        for (size_t done = 0; done < STORE_FETCH_MAX;) {
            int n = store_locate(s, ino, at + done, STORE_FETCH_MAX - done, f);
            CHECK(n > 0 && done + (size_t)n <= STORE_FETCH_MAX);
            CHECK_EQ(store_fetch(f, out[0] + done), 0);
            done += (size_t)n;
        }
        CHECK(memcmp(data[0], data[1], sizeof(data[0])) == 0);
    }
    put(s, ino, 0, 77, 1);
    CHECK_EQ(store_commit(s), 0);
    CHECK_EQ(store_locate(s, ino, 0, 1, f), 1);
    for (unsigned i = 0; i < 50; i++) { /* its place is used again by now */
        put(s, ino, 0, (uint8_t)i, 1);
        CHECK_EQ(store_commit(s), 0);
    }
    CHECK_EQ(store_fetch(f, out[0]), -EAGAIN);
    CHECK_EQ(store_locate(s, ino, 0, 1, f), 1);
    m.fail_after = 0;
    m.error = -EIO;
    CHECK_EQ(store_fetch(f, out[0]), -EAGAIN);
    m.fail_after = -1;
    CHECK_EQ(store_fetch(f, out[0]), 0);
    store_fetch_free(f);
    store_close(s);
    mem_dev_fini(&m);
}

int main(void)
{
    port_init();
    test_names();
    test_renames();
    test_contents();
    test_xattrs();
    test_downwards();
    test_random();
    test_full();
    test_small_commits();
    test_fetch();
    CHECK_EQ(port_live, 0);
    return 0;
}
