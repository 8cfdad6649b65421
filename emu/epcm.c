/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EADD and the EPCM: what the architecture knows of each page, and the page tables that the
 * driver would keep beside it. ENCLS leaves: EADD, EAUG, EMODPR, EMODT, EREMOVE.
 * Memory becomes usable by mprotect alone, so that the range keeps its huge pages.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "boundary/layout.h"
#include "emu/emu.h"

#define MADV_POPULATE_WRITE_ 23  /* Linux 5.14 */
#define POPULATE_MAX         512 /* pages that EAUG makes real; more are reserved only */
#define EPCM_COMING          EPCM_PENDING /* not valid yet: EAUG is at work there */
#define TABLE_PAGES          512u         /* that share a page table */

/* Held while something is given back because all around it is free, and to take a place. */
static pthread_mutex_t giving = PTHREAD_MUTEX_INITIALIZER;

uint8_t *emu_epcm_at(struct emu *e, uint64_t address)
{
    uint64_t offset = address - e->dev.base;
    return offset < e->dev.size ? &e->epcm[offset / SGX_PAGE] : NULL;
}

/* What the page tables may allow; the rest is the EPCM's. */
int emu_prot(uint8_t entry)
{
    if ((entry & EPCM_TYPE) != EPCM_REG)
        return PROT_NONE;
    return (entry & EPCM_R ? PROT_READ : 0) | (entry & EPCM_W ? PROT_WRITE : 0) |
           (entry & EPCM_X ? PROT_EXEC : 0);
}

static int range_check(struct emu *e, uint64_t offset, uint64_t pages)
{
    if (offset % SGX_PAGE || !pages || offset >= e->dev.size ||
        pages > (e->dev.size - offset) / SGX_PAGE)
        return -EINVAL;
    return 0;
}

static int protect(struct emu *e, uint64_t offset, uint64_t pages, int prot)
{
    return mprotect((void *)(e->dev.base + offset), pages * SGX_PAGE, prot) ? -errno : 0;
}

/* True if every entry, masked, equals `want`. */
static int entries_are(const uint8_t *entry, uint64_t pages, uint8_t mask, uint8_t want)
{
    uint64_t m = mask * 0x0101010101010101ull, w = want * 0x0101010101010101ull, chunk;

    for (; pages >= 8; pages -= 8, entry += 8) {
        memcpy(&chunk, entry, 8);
        if ((chunk & m) != w)
            return 0;
    }
    for (; pages; pages--, entry++) {
        if ((*entry & mask) != want)
            return 0;
    }
    return 1;
}

static int add_tcs(struct emu *e, uint64_t offset, const uint8_t *data, struct host_error *err)
{
    struct emu_tcs *t = calloc(1, sizeof(*t));

    if (!t || e->tcs_count == EMU_TCS_MAX) {
        free(t);
        return host_fail(err, -ENOMEM, "too many thread control structures");
    }
    t->offset = offset;
    if (data)
        memcpy(&t->tcs, data, sizeof(t->tcs));
    if (t->tcs.flags & ~1ull || t->tcs.cssa || t->tcs.ossa % SGX_PAGE ||
        t->tcs.ofs_base % SGX_PAGE || t->tcs.ogs_base % SGX_PAGE ||
        (t->tcs.fs_limit & 0xfff) != 0xfff || (t->tcs.gs_limit & 0xfff) != 0xfff) {
        free(t);
        return host_fail(err, -EINVAL, "EADD: the TCS at offset 0x%lx is not valid", offset);
    }
    t->tcs.state = 0;
    e->tcs[e->tcs_count++] = t;
    return 0;
}

static int check_run(struct emu *e, const struct plan_run *run, struct host_error *err)
{
    uint64_t type = run->secinfo >> 8, perms = run->secinfo & 0xff;
    int bad = range_check(e, run->offset, run->pages) || e->initialized;

    if (type == PT_TCS)
        bad |= perms != 0;
    else
        bad |= type != PT_REG || perms & ~SECINFO_RWX ||
               ((perms & SECINFO_W) && !(perms & SECINFO_R));
    if (bad)
        return host_fail(err, -EINVAL,
                         "EADD: cannot add %lu pages at offset 0x%lx, SECINFO 0x%lx",
                         run->pages, run->offset, run->secinfo);
    if (!entries_are(&e->epcm[run->offset / SGX_PAGE], run->pages, EPCM_TYPE, 0))
        return host_fail(err, -EEXIST, "EADD: pages at offset 0x%lx are there already",
                         run->offset);
    return 0;
}

static int add_tcs_pages(struct emu *e, const struct plan_run *run, struct host_error *err)
{
    uint8_t page[SGX_PAGE] = {0};
    int rc = 0;

    for (uint64_t i = 0; i < run->pages && !rc; i++) {
        uint64_t offset = run->offset + i * SGX_PAGE;
        if (run->data)
            plan_page(run, i, page);
        rc = add_tcs(e, offset, page, err);
        if (!rc)
            emu_measure_add(e, offset, run->secinfo, page, run->measured);
    }
    if (!rc)
        memset(&e->epcm[run->offset / SGX_PAGE], EPCM_TCS, run->pages);
    return rc;
}

/* Measured is what has arrived: the plan's contents may be a file that changes meanwhile. */
static void load_and_measure(struct emu *e, const struct plan_run *run)
{
    uint8_t *memory = (uint8_t *)e->dev.base + run->offset;

    /* One call instead of a fault a page; older kernels lack it. */
    if (run->data)
        madvise(memory, run->pages * SGX_PAGE, MADV_POPULATE_WRITE_);
    for (uint64_t i = 0; i < run->pages; i++) {
        uint8_t *page = memory + i * SGX_PAGE;
        if (run->data)
            plan_page(run, i, page);
        emu_measure_add(e, run->offset + i * SGX_PAGE, run->secinfo, run->data ? page : NULL,
                        run->measured);
    }
}

int emu_add_pages(struct dev *dev, const struct plan_run *run, struct host_error *err)
{
    struct emu *e = emu_of(dev);
    int rc = check_run(e, run, err);

    if (rc || (run->secinfo >> 8) == PT_TCS)
        return rc ? rc : add_tcs_pages(e, run, err);
    uint8_t entry = (uint8_t)(EPCM_REG | (run->secinfo & SECINFO_RWX));
    int prot = emu_prot(entry), load = run->data ? PROT_READ | PROT_WRITE : prot;

    memset(&e->epcm[run->offset / SGX_PAGE], entry, run->pages);
    rc = protect(e, run->offset, run->pages, load);
    if (!rc)
        load_and_measure(e, run);
    if (!rc && load != prot)
        rc = protect(e, run->offset, run->pages, prot);
    return rc ? host_fail(err, rc, "EADD: %s", strerror(-rc)) : 0;
}

static int make_real(struct emu *e, uint64_t offset, uint64_t pages)
{
    int rc = protect(e, offset, pages, PROT_READ | PROT_WRITE);

    /* One call instead of a fault a page; where it is not known, they fault. */
    if (rc || pages > POPULATE_MAX ||
        !madvise((void *)(e->dev.base + offset), pages * SGX_PAGE, MADV_POPULATE_WRITE_) ||
        errno != ENOMEM)
        return rc;
    protect(e, offset, pages, PROT_NONE);
    return -ENOMEM;
}

int emu_aug(struct dev *dev, uint64_t offset, uint64_t pages)
{
    struct emu *e = emu_of(dev);
    int rc = range_check(e, offset, pages);

    if (rc || !e->initialized)
        return rc ? rc : -EINVAL;
    uint8_t *entry = &e->epcm[offset / SGX_PAGE];
    pthread_mutex_lock(&giving);
    int is_free = entries_are(entry, pages, 0xff, 0);
    if (is_free)
        memset(entry, EPCM_COMING, pages);
    pthread_mutex_unlock(&giving);
    if (!is_free)
        return -EEXIST;
    if (!e->strict)
        rc = make_real(e, offset, pages);
    memset(entry, rc ? 0 : EPCM_REG | EPCM_PENDING | EPCM_R | EPCM_W, pages);
    return rc;
}

int emu_restrict(struct dev *dev, uint64_t offset, uint64_t pages, uint32_t perms)
{
    struct emu *e = emu_of(dev);
    int rc = range_check(e, offset, pages);
    uint32_t low = perms & EPCM_R ? perms : 0;

    if (rc || !e->initialized || perms & ~(uint32_t)SECINFO_RWX || (perms && !low))
        return rc ? rc : -EINVAL;
    uint8_t *entry = &e->epcm[offset / SGX_PAGE];
    if (!entries_are(entry, pages, EPCM_TYPE | EPCM_PENDING | EPCM_MODIFIED, EPCM_REG))
        return -EINVAL;
    uint8_t keep = (uint8_t)(perms | (uint8_t) ~(EPCM_R | EPCM_W | EPCM_X));
    int prot = emu_prot((uint8_t)(EPCM_REG | perms)), common = prot;
    for (uint64_t i = 0; i < pages; i++) {
        uint8_t now = __atomic_and_fetch(&entry[i], keep, __ATOMIC_SEQ_CST);
        __atomic_or_fetch(&entry[i], EPCM_PR, __ATOMIC_SEQ_CST);
        common &= emu_prot(now);
    }
    return protect(e, offset, pages, common);
}

int emu_extend(struct dev *dev, uint64_t offset, uint64_t pages, uint32_t perms)
{
    struct emu *e = emu_of(dev);
    int rc = range_check(e, offset, pages);

    if (rc || perms & ~(uint32_t)SECINFO_RWX)
        return rc ? rc : -EINVAL;
    if (!entries_are(&e->epcm[offset / SGX_PAGE], pages,
                     (uint8_t)(EPCM_TYPE | EPCM_PENDING | perms), (uint8_t)(EPCM_REG | perms)))
        return -EACCES;
    return protect(e, offset, pages, emu_prot((uint8_t)(EPCM_REG | perms)));
}

int emu_trim(struct dev *dev, uint64_t offset, uint64_t pages)
{
    struct emu *e = emu_of(dev);
    int rc = range_check(e, offset, pages);

    if (rc || !e->initialized)
        return rc ? rc : -EINVAL;
    uint8_t *entry = &e->epcm[offset / SGX_PAGE];
    if (!entries_are(entry, pages, EPCM_TYPE | EPCM_PENDING | EPCM_MODIFIED, EPCM_REG))
        return -EINVAL;
    memset(entry, EPCM_TRIM | EPCM_MODIFIED, pages);
    return protect(e, offset, pages, PROT_NONE);
}

static int give_back(void *from, uint64_t bytes)
{
    return madvise(from, bytes, MADV_DONTNEED) ? -errno : 0;
}

/*
 * Programs lie at random places, and each leaves a page table and a page of the EPCM behind:
 * 20 KiB a process, if nobody looked after them. The kernel frees a page table (Linux 6.14)
 * when all that it maps is dropped at once.
 */
static int give_place_back(struct emu *e, uint64_t offset, uint64_t pages)
{
    uint64_t low = e->dev.base ? 0 : LAYOUT_USER_MIN / SGX_PAGE, all = e->dev.size / SGX_PAGE;
    uint64_t first = offset / SGX_PAGE, end = first + pages;
    uint64_t from = first & -(uint64_t)TABLE_PAGES;
    uint64_t to = (end + TABLE_PAGES - 1) & -(uint64_t)TABLE_PAGES;

    if (from >= low && to <= all && entries_are(&e->epcm[from], to - from, 0xff, 0)) {
        first = from;
        end = to;
    }
    int rc = give_back((void *)(e->dev.base + first * SGX_PAGE), (end - first) * SGX_PAGE);
    for (uint64_t at = first & -(uint64_t)SGX_PAGE; !rc && at < end && at + SGX_PAGE <= all;
         at += SGX_PAGE) {
        if (entries_are(&e->epcm[at], SGX_PAGE, 0xff, 0))
            rc = give_back(&e->epcm[at], SGX_PAGE);
    }
    return rc;
}

int emu_remove(struct dev *dev, uint64_t offset, uint64_t pages)
{
    struct emu *e = emu_of(dev);
    int rc = range_check(e, offset, pages);

    if (rc)
        return rc;
    uint8_t *entry = &e->epcm[offset / SGX_PAGE];
    if (!entries_are(entry, pages, EPCM_TYPE | EPCM_MODIFIED, EPCM_TRIM))
        return -EPERM;
    pthread_mutex_lock(&giving);
    memset(entry, 0, pages);
    rc = give_place_back(e, offset, pages);
    pthread_mutex_unlock(&giving);
    return rc;
}
