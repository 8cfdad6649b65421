/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The enclave as a file: the measured stream itself (SGXS), and beside it the list of ENCLU
 * sites. The reader trusts neither: framing, order and bounds are checked, the stream's SHA-256
 * is the MRENCLAVE that the signature must name, and the sites carry a checksum over that
 * MRENCLAVE. Not here: SGXS files with unmeasured data (UNMEASRD) or a page measured in part.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boundary/layout.h"
#include "image/file.h"
#include "image/measure.h"

#define SITES_MAGIC 0x7365746973756c63ull

struct sites_header {
    uint64_t magic;
    uint64_t count;
    uint8_t checksum[32]; /* SHA-256 of MRENCLAVE and the sites */
};

static int file_sink(void *context, const void *bytes, size_t size)
{
    return fwrite(bytes, 1, size, context) != size;
}

struct err *sgxs_write(const struct page_plan *plan, const char *path)
{
    FILE *file = fopen(path, "we");

    if (!file)
        return err_sys(errno, "%s: cannot be created", path);
    setvbuf(file, NULL, _IOFBF, 1 << 20);
    int failed = plan_stream(plan, file_sink, file);

    if (fclose(file) || failed)
        return err_sys(errno, "%s: cannot be written", path);
    return NULL;
}

/* ---- reading ------------------------------------------------------------ */

struct reader {
    const char *path;
    struct file_map file;
    size_t at;
    struct page_plan *plan;
    size_t run_room;
};

static struct err *damaged(const struct reader *r, const char *what)
{
    return err_new("%s: damaged at byte %zu: %s", r->path, r->at, what);
}

static struct err *read_ecreate(struct reader *r)
{
    struct stream_ecreate create;
    static const uint8_t zeros[sizeof(create.reserved)];

    if (r->file.size < sizeof(create))
        return damaged(r, "too short");
    memcpy(&create, r->file.bytes, sizeof(create));
    if (create.tag != STREAM_ECREATE || memcmp(create.reserved, zeros, sizeof(zeros)))
        return damaged(r, "it does not start with ECREATE");
    if (create.size < LAYOUT_MIN_SIZE || (create.size & (create.size - 1)))
        return damaged(r, "impossible enclave size");
    if (create.ssa_frame_size < 1 || create.ssa_frame_size > 64)
        return damaged(r, "impossible SSA frame size");
    r->plan->size = create.size;
    r->plan->ssa_frame_size = create.ssa_frame_size;
    r->at = sizeof(create);
    return NULL;
}

static int is_zero(const uint8_t *bytes, size_t size)
{
    return !bytes[0] && !memcmp(bytes, bytes + 1, size - 1);
}

/* The 16 chunks of a page; whether they are all zero. */
static struct err *read_chunks(struct reader *r, uint64_t offset, int *zero)
{
    *zero = 1;
    for (unsigned at = 0; at < SGX_PAGE; at += STREAM_CHUNK) {
        struct stream_eextend extend;

        if (r->file.size - r->at < sizeof(extend) + STREAM_CHUNK)
            return damaged(r, "it ends within a page");
        memcpy(&extend, r->file.bytes + r->at, sizeof(extend));
        if (extend.tag != STREAM_EEXTEND || extend.offset != offset + at ||
            !is_zero(extend.reserved, sizeof(extend.reserved)))
            return damaged(r, "a page is not measured in order");
        r->at += sizeof(extend);
        *zero = *zero && is_zero(r->file.bytes + r->at, STREAM_CHUNK);
        r->at += STREAM_CHUNK;
    }
    return NULL;
}

/* Whether an EEXTEND record follows. */
static int extend_follows(const struct reader *r)
{
    uint64_t tag = 0;

    if (r->file.size - r->at >= sizeof(struct stream_eextend))
        memcpy(&tag, r->file.bytes + r->at, sizeof(tag));
    return tag == STREAM_EEXTEND;
}

/*
 * The run that takes the page at `offset`: the last one if it continues it, else a new one.
 * `filled`: where the page with its contents is in the stream; NULL: it is zero.
 */
static struct plan_run *run_for(struct reader *r, const struct stream_eadd *add, int measured,
                                const uint8_t *filled)
{
    struct page_plan *plan = r->plan;
    struct plan_run *run = plan->count ? &plan->runs[plan->count - 1] : NULL;

    if (run && run->offset + run->pages * SGX_PAGE == add->offset &&
        run->secinfo == add->secinfo[0] && run->measured == measured && !run->data == !filled &&
        add->secinfo[0] != SECINFO_TYPE(PT_TCS))
        return run;
    if (plan->count == r->run_room) {
        size_t room = r->run_room ? r->run_room * 2 : 64;
        struct plan_run *runs = realloc(plan->runs, room * sizeof(*runs));

        if (!runs)
            return NULL;
        plan->runs = runs;
        r->run_room = room;
    }
    run = &plan->runs[plan->count++];
    *run = (struct plan_run){.offset = add->offset, .secinfo = add->secinfo[0]};
    run->measured = measured;
    run->data = filled;
    run->stream = filled != NULL;
    return run;
}

/* A regular page or a TCS, and nothing else said. */
static int secinfo_ok(const struct stream_eadd *add)
{
    static const uint64_t zeros[5];

    return !memcmp(add->secinfo + 1, zeros, sizeof(zeros)) &&
           ((add->secinfo[0] & ~SECINFO_RWX) == SECINFO_TYPE(PT_REG) ||
            add->secinfo[0] == SECINFO_TYPE(PT_TCS));
}

static struct err *read_page(struct reader *r, uint64_t *floor)
{
    struct stream_eadd add;
    struct page_plan *plan = r->plan;

    if (r->file.size - r->at < sizeof(add))
        return damaged(r, "it ends within a record");
    memcpy(&add, r->file.bytes + r->at, sizeof(add));
    if (add.tag != STREAM_EADD)
        return damaged(r, "an unknown record");
    if (add.offset % SGX_PAGE || add.offset < *floor || add.offset > plan->size - SGX_PAGE)
        return damaged(r, "a page out of order or out of range");
    if (!secinfo_ok(&add))
        return damaged(r, "impossible permissions or page type");
    const uint8_t *here = r->file.bytes + r->at;

    r->at += sizeof(add);
    *floor = add.offset + SGX_PAGE;
    int measured = extend_follows(r), zero = 1;
    struct err *err = measured ? read_chunks(r, add.offset, &zero) : NULL;

    if (err)
        return err;
    zero = zero && (!measured || add.secinfo[0] & SECINFO_W); /* others stay in one piece */
    struct plan_run *run = run_for(r, &add, measured, zero ? NULL : here);

    if (!run)
        return err_sys(ENOMEM, "%s", r->path);
    run->pages++;
    if (add.secinfo[0] == SECINFO_TYPE(PT_TCS)) {
        if (plan->tcs_count == LAYOUT_VCPU_MAX)
            return damaged(r, "too many TCSs");
        plan->tcs_offset[plan->tcs_count++] = add.offset;
    }
    return NULL;
}

static struct err *read_stream(struct reader *r)
{
    struct err *err = read_ecreate(r);
    uint64_t floor = 0;
    if (err)
        return err;
    while (!err && r->at < r->file.size)
        err = read_page(r, &floor);
    if (!err && r->plan->tcs_count == 0)
        err = damaged(r, "no TCS");
    return err;
}

struct err *sgxs_read(const char *path, struct page_plan *plan, uint8_t mrenclave[32])
{
    struct reader r = {.path = path, .plan = plan};
    struct err *err = file_map(path, &r.file);

    memset(plan, 0, sizeof(*plan));
    if (err)
        return err;
    plan->miscselect = SGX_MISC_EXINFO;
    if (mrenclave)
        image_sha256(r.file.bytes, r.file.size, mrenclave);
    err = read_stream(&r);
    if (!err)
        err = plan_adopt(plan, &r.file);
    if (!plan->owner)
        file_unmap(&r.file);
    if (err)
        plan_free(plan);
    return err;
}

/* ---- the ENCLU sites ---------------------------------------------------- */

static void sites_checksum(const uint8_t mrenclave[32], const uint64_t *sites, size_t count,
                           uint8_t checksum[32])
{
    uint8_t both[64];

    memcpy(both, mrenclave, 32);
    image_sha256(sites, count * sizeof(*sites), both + 32);
    image_sha256(both, sizeof(both), checksum);
}

struct err *sites_write(const struct page_plan *plan, const uint8_t mrenclave[32],
                        const char *path)
{
    size_t bytes = sizeof(struct sites_header) + plan->enclu_count * sizeof(uint64_t);
    struct sites_header *header = calloc(1, bytes);

    if (!header)
        return err_sys(ENOMEM, "%s", path);
    header->magic = SITES_MAGIC;
    header->count = plan->enclu_count;
    sites_checksum(mrenclave, plan->enclu_sites, plan->enclu_count, header->checksum);
    memcpy(header + 1, plan->enclu_sites, plan->enclu_count * sizeof(uint64_t));
    struct err *err = file_put(path, header, bytes);

    free(header);
    return err;
}

struct err *sites_read(const char *path, const uint8_t mrenclave[32], struct page_plan *plan)
{
    struct file_map map;
    struct sites_header header = {0};
    uint8_t checksum[32];
    struct err *err = file_map(path, &map);

    if (err)
        return err;
    if (map.size >= sizeof(header))
        memcpy(&header, map.bytes, sizeof(header));
    size_t bytes = map.size - sizeof(header);

    if (header.magic != SITES_MAGIC || bytes % sizeof(uint64_t) ||
        header.count != bytes / sizeof(uint64_t)) {
        err = err_new("%s: damaged", path);
        goto unmap;
    }
    plan->enclu_sites = malloc(bytes + 1);
    if (!plan->enclu_sites) {
        err = err_sys(ENOMEM, "%s", path);
        goto unmap;
    }
    memcpy(plan->enclu_sites, map.bytes + sizeof(header), bytes);
    plan->enclu_count = header.count;
    sites_checksum(mrenclave, plan->enclu_sites, plan->enclu_count, checksum);
    if (memcmp(checksum, header.checksum, sizeof(checksum)))
        err = err_new("%s: damaged, or of another build", path);
unmap:
    file_unmap(&map);
    return err;
}
