/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/sefs_mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static int step(struct mem_dev *m)
{
    m->calls++;
    if (m->fail_after < 0)
        return 0;
    if (m->fail_after-- > 0)
        return 0;
    m->fail_after = m->fail_once ? -1 : 0;
    return -m->error;
}

static bool inside(const struct mem_dev *m, uint64_t block, size_t count)
{
    return block < m->blocks && count <= m->blocks - block;
}

static void record(struct mem_dev *m, uint64_t block, const void *data)
{
    if (!m->recording)
        return;
    if (m->log_count == m->log_size) {
        m->log_size = m->log_size * 2 + 64;
        m->log = realloc(m->log, m->log_size * sizeof(*m->log));
    }
    struct mem_write *w = &m->log[m->log_count++];
    w->block = block;
    w->data = data ? malloc(SEFS_BLOCK) : NULL;
    if (data)
        memcpy(w->data, data, SEFS_BLOCK);
}

static int mem_read(struct sefs_dev *d, uint64_t block, size_t count, void *out)
{
    struct mem_dev *m = container_of(d, struct mem_dev, dev);
    int r = step(m);
    if (r == 0 && !inside(m, block, count))
        r = -EIO;
    if (r == 0)
        memcpy(out, m->bytes + block * SEFS_BLOCK, count * SEFS_BLOCK);
    return r;
}

static int mem_write(struct sefs_dev *d, uint64_t block, size_t count, const void *in)
{
    struct mem_dev *m = container_of(d, struct mem_dev, dev);
    int r = step(m);
    if (r == 0 && !inside(m, block, count))
        r = -ENOSPC;
    if (r < 0)
        return r;
    m->writes++;
    m->written += count;
    memcpy(m->bytes + block * SEFS_BLOCK, in, count * SEFS_BLOCK);
    for (size_t i = 0; i < count; i++)
        record(m, block + i, (const uint8_t *)in + i * SEFS_BLOCK);
    return 0;
}

static int mem_flush(struct sefs_dev *d)
{
    struct mem_dev *m = container_of(d, struct mem_dev, dev);
    int r = step(m);
    if (r == 0) {
        m->flushes++;
        record(m, 0, NULL);
    }
    return r;
}

/* As the host's holes: what was there is gone. */
static int mem_punch(struct sefs_dev *d, uint64_t block, uint64_t count)
{
    struct mem_dev *m = container_of(d, struct mem_dev, dev);
    int r = step(m);
    if (r < 0 || !inside(m, block, count))
        return r < 0 ? r : -EINVAL;
    memset(m->bytes + block * SEFS_BLOCK, 0, count * SEFS_BLOCK);
    for (uint64_t i = 0; i < count; i++)
        record(m, block + i, m->bytes + (block + i) * SEFS_BLOCK);
    m->punched += count;
    return 0;
}

static const struct sefs_dev_ops ops = {mem_read, mem_write, mem_flush, mem_punch};

void mem_dev_init(struct mem_dev *m, uint64_t blocks)
{
    memset(m, 0, sizeof(*m));
    m->dev.ops = &ops;
    m->bytes = calloc(blocks, SEFS_BLOCK);
    m->blocks = blocks;
    m->fail_after = -1;
    m->error = EIO;
}

void mem_dev_log_clear(struct mem_dev *m)
{
    for (size_t i = 0; i < m->log_count; i++)
        free(m->log[i].data);
    m->log_count = 0;
}

void mem_dev_fini(struct mem_dev *m)
{
    mem_dev_log_clear(m);
    free(m->log);
    free(m->bytes);
}

void mem_dev_copy(struct mem_dev *to, const struct mem_dev *from)
{
    mem_dev_init(to, from->blocks);
    memcpy(to->bytes, from->bytes, from->blocks * SEFS_BLOCK);
}

static struct store_params params(uint64_t limit_blocks)
{
    return (struct store_params){.key = mem_key,
                                 .key_size = sizeof(mem_key),
                                 .limit_blocks = limit_blocks,
                                 .cache_nodes = 64,
                                 .name = "test"};
}

struct store *mem_store(struct mem_dev *m, uint64_t limit_blocks)
{
    struct store_params p = params(limit_blocks);
    CHECK_EQ(store_format(&m->dev, &p), 0);
    return mem_reopen(m, limit_blocks);
}

struct store *mem_reopen(struct mem_dev *m, uint64_t limit_blocks)
{
    struct store_params p = params(limit_blocks);
    struct store *s = NULL;
    int r = store_open(&m->dev, &p, &s);
    return r < 0 ? NULL : s;
}
