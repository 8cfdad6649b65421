/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading through the page cache. Who misses a page reads a window of them, twice as many each
 * time while a file is read in sequence. Large windows are followed by one that a task of the
 * kernel begins with at the same time, on another processor: share by share, and whoever gets
 * to its pages before it is done takes shares, too, then begins the next window and copies
 * while that is being read. Nobody waits for the task before it has begun. A file has one
 * window under way in this manner.
 * Locks: a file's fill lock is held by the reader alone; the queue's spinlock by both.
 */
#include "abi/errno.h"
#include "enclave/boot.h"
#include "enclave/clock.h"
#include "fs/core/cache_fill.h"
#include "fs/core/inode.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "sched/task.h"
#include "sched/wait.h"

#define WINDOW_FIRST 4u
#define WINDOW_MAX   128u
#define AHEAD_MAX    256u    /* worth waking another processor for */
#define SPIN_NS      100000u /* less than what two of those take that are read at once */
#define HELPERS_MAX  4u
#define RUN          32u /* pages looked up at once */

_Atomic uint64_t cache_filled;

static struct {
    struct spinlock lock;
    struct list queue;
    unsigned helpers;                      /* under lock: so many were started, or tried */
    const struct super *busy[HELPERS_MAX]; /* under lock: whose files they hold */
    struct wait_queue work, done;
} ahead = {.lock = SPINLOCK_INIT(RANK_CACHE_LRU),
           .queue = LIST_INIT(ahead.queue),
           .work = {SPINLOCK_INIT(RANK_WAIT), LIST_INIT(ahead.work.waiters)},
           .done = {SPINLOCK_INIT(RANK_WAIT), LIST_INIT(ahead.done.waiters)}};

/* ---- pages from the file system ---- */

static int read_batch(struct page_cache *c, struct cached_page *pages[], size_t *count)
{
    void *data[CACHE_BATCH_MAX];
    for (size_t i = 0; i < *count; i++)
        data[i] = pages[i]->data;
    int r = c->inode->ops->read_pages(c->inode, pages[0]->index, data, *count);
    if (r < 0 && *count > 1) { /* what was asked for may be fine */
        memset(pages[0]->data, 0, PAGE_SIZE);
        for (size_t i = 1; i < *count; i++)
            cache_put(pages[i]);
        *count = 1;
        r = c->inode->ops->read_pages(c->inode, pages[0]->index, data, 1);
    }
    return r;
}

/* Up to *count pages from `index` on; the first one is returned pinned. */
static int fill_batch(struct page_cache *c, uint64_t index, size_t *count,
                      struct cached_page **first)
{
    struct cached_page *pages[CACHE_BATCH_MAX];
    uint64_t epoch = atomic_load(&c->epoch);
    size_t got = 0;
    for (; got < *count; got++) {
        pages[got] = cache_page_new(c, index + got);
        if (!pages[got])
            break;
    }
    if (got == 0)
        return -ENOMEM;
    int r = read_batch(c, pages, &got);
    if (r < 0) {
        for (size_t i = 0; i < got; i++)
            cache_put(pages[i]);
        return r;
    }
    atomic_fetch_add(&cache_filled, got);
    atomic_fetch_add(&c->filled, got);
    bool keep = atomic_load(&c->epoch) == epoch;
    for (size_t i = 0; i < got; i++) {
        struct cached_page *p = keep ? cache_insert(c, pages[i]) : pages[i];
        if (i == 0)
            *first = p;
        else
            cache_put(p);
    }
    *count = got;
    return 0;
}

/* [index, index+count), of which only the first page must succeed; it is returned pinned. How
 * many there are now, or negative errno. */
static ssize_t fill_range(struct page_cache *c, uint64_t index, size_t count,
                          struct cached_page **out)
{
    size_t done = 0;
    while (done < count) {
        struct cached_page *first;
        size_t want = MIN(count - done, (size_t)CACHE_BATCH_MAX), n = want;
        int r = fill_batch(c, index + done, &n, &first);
        if (r < 0)
            return done ? (ssize_t)done : r;
        if (done == 0)
            *out = first;
        else
            cache_put(first);
        done += n;
        if (n < want)
            break;
    }
    return (ssize_t)done;
}

/* How many of the pages from `index` on are missing, at most `max`; none behind the end. */
static size_t missing(struct page_cache *c, uint64_t index, size_t max)
{
    uint64_t end = (c->inode->size + PAGE_SIZE - 1) >> PAGE_SHIFT, next = index;
    if (index >= end)
        return 0;
    spin_lock(&c->lock);
    bool any = radix_next(&c->pages, &next) != NULL;
    spin_unlock(&c->lock);
    uint64_t left = (any ? MIN(next, end) : end) - index;
    return (size_t)MIN(left, (uint64_t)max);
}

/* ---- a window ahead ---- */

static bool in_window(const struct page_cache *c, uint64_t index)
{
    return index - c->ahead_index < c->ahead_count;
}

static struct page_cache *take_work(const struct super **busy)
{
    struct page_cache *c = NULL;
    spin_lock(&ahead.lock);
    struct list *n = list_pop(&ahead.queue);
    if (n) {
        c = list_entry(n, struct page_cache, ahead_node);
        c->ahead_running = true;
        *busy = c->inode->sb;
    }
    spin_unlock(&ahead.lock);
    return c;
}

static void end_work(struct page_cache *c, const struct super **busy)
{
    struct inode *inode = c->inode; /* referenced by whoever queued it */
    spin_lock(&ahead.lock);
    c->ahead_running = false;
    c->ahead_count = 0;
    spin_unlock(&ahead.lock);
    wait_wake_all(&ahead.done);
    inode_put(inode);
    spin_lock(&ahead.lock);
    *busy = NULL;
    spin_unlock(&ahead.lock);
    wait_wake_all(&ahead.done);
}

/* How many pages are next in the window, from *from on; 0: somebody has taken each of them. */
static size_t take_share(struct page_cache *c, uint64_t *from)
{
    spin_lock(&ahead.lock);
    uint64_t left = c->ahead_count > c->ahead_taken ? c->ahead_count - c->ahead_taken : 0;
    size_t n = (size_t)MIN(left, (uint64_t)CACHE_BATCH_MAX);
    *from = c->ahead_index + c->ahead_taken;
    c->ahead_taken += (uint32_t)n;
    spin_unlock(&ahead.lock);
    return n;
}

static void read_shares(struct page_cache *c)
{
    struct cached_page *first;
    uint64_t from;
    for (size_t n; (n = take_share(c, &from)) != 0;) {
        if (fill_range(c, from, n, &first) > 0)
            cache_put(first);
    }
}

static void helper(void *arg)
{
    const struct super **busy = arg;
    for (;;) {
        struct page_cache *c;
        (void)!wait_event(&ahead.work, (c = take_work(busy)) != NULL, NO_DEADLINE);
        if (!c)
            continue;
        read_shares(c);
        end_work(c, busy);
        cache_balance();
    }
}

static bool start_helper(unsigned number)
{
    struct task *t = kzalloc(sizeof(*t));
    if (!t || task_init(t, helper, &ahead.busy[number]) < 0) {
        kfree(t);
        return false;
    }
    memcpy(t->name, "read", 5);
    task_start(t);
    return true;
}

/* One more where all have something to do. False: there is none, the reader does it all. */
static bool have_helper(void)
{
    unsigned max = MIN(HELPERS_MAX, boot_info->vcpu_count);
    spin_lock(&ahead.lock);
    unsigned number = ahead.helpers;
    bool more = !number || (number < max && !list_empty(&ahead.queue));
    ahead.helpers += more;
    spin_unlock(&ahead.lock);
    return !more || start_helper(number) || number;
}

/* The fill lock is held, so nobody else begins. */
static void begin_ahead(struct page_cache *c, uint64_t from)
{
    bool can = boot_info->vcpu_count > 1 && !c->ahead_count;
    size_t count = can ? missing(c, from, AHEAD_MAX) : 0;
    if (count < WINDOW_MAX / 4 || !have_helper())
        return;
    inode_get(c->inode);
    spin_lock(&ahead.lock);
    c->ahead_index = from;
    c->ahead_taken = 0;
    c->ahead_count = (uint32_t)count;
    list_append(&ahead.queue, &c->ahead_node);
    spin_unlock(&ahead.lock);
    c->next_index = from + count;
    wait_wake(&ahead.work, 1);
    sched_share();
}

/* Takes back what nobody has begun with: true if the file has nothing under way then. */
static bool take_back(struct page_cache *c)
{
    spin_lock(&ahead.lock);
    bool queued = c->ahead_count && !c->ahead_running;
    if (queued) {
        list_remove(&c->ahead_node);
        c->ahead_count = 0;
    }
    bool idle = !c->ahead_count;
    spin_unlock(&ahead.lock);
    if (queued)
        inode_put(c->inode);
    return idle;
}

/* The helper has its last pages under way, on another processor as a rule. */
static void await_helper(struct page_cache *c)
{
    uint64_t start = clock_monotonic_ns();
    while (c->ahead_count && clock_monotonic_ns() - start < SPIN_NS)
        __asm__ volatile("pause");
    while (wait_event(&ahead.done, !c->ahead_count, NO_DEADLINE) == -ERESTARTSYS &&
           c->ahead_count)
        task_yield(); /* a signal can wait that long */
}

/* The page lies in the window: the rest of that is read here and by the helper, and the next
 * one begun. False: it does not. */
static bool join_window(struct page_cache *c, uint64_t index)
{
    spin_lock(&ahead.lock);
    uint64_t next = c->ahead_index + c->ahead_count;
    bool coming = in_window(c, index);
    spin_unlock(&ahead.lock);
    if (!coming)
        return false;
    read_shares(c);
    if (!take_back(c))
        await_helper(c);
    begin_ahead(c, next);
    return true;
}

/* Work for the file system that nobody has begun with, taken back. */
static struct page_cache *take_back_of(const struct super *sb)
{
    struct page_cache *c, *found = NULL;
    spin_lock(&ahead.lock);
    list_for_each (c, &ahead.queue, ahead_node) {
        if (!found && c->inode->sb == sb)
            found = c;
    }
    if (found) {
        list_remove(&found->ahead_node);
        found->ahead_count = 0;
    }
    spin_unlock(&ahead.lock);
    return found;
}

static bool is_busy(const struct super *sb)
{
    bool busy = false;
    spin_lock(&ahead.lock);
    for (unsigned i = 0; i < HELPERS_MAX; i++)
        busy |= ahead.busy[i] == sb;
    spin_unlock(&ahead.lock);
    return busy;
}

void cache_settle(const struct super *sb)
{
    struct page_cache *c;
    while ((c = take_back_of(sb)) != NULL)
        inode_put(c->inode);
    while (wait_event(&ahead.done, !is_busy(sb), NO_DEADLINE) == -ERESTARTSYS)
        task_yield();
}

/* ---- a page that is missing ---- */

/* How many pages to read at once from `index` on, of which `want` are asked for: doubling for
 * sequential readers. */
static size_t choose_window(struct page_cache *c, uint64_t index, size_t want, size_t most)
{
    uint32_t window = WINDOW_FIRST;
    if (index == c->next_index)
        window = MIN(MAX(c->window * 2, 2 * WINDOW_FIRST), WINDOW_MAX);
    window = MAX(window, (uint32_t)MIN(want, (size_t)CACHE_BATCH_MAX));
    return MAX(missing(c, index, MIN((size_t)window, most)), (size_t)1);
}

static int fill_locked(struct page_cache *c, uint64_t index, size_t want, size_t most,
                       struct cached_page **out)
{
    size_t window = choose_window(c, index, want, most);
    c->next_index = index + window;
    c->window = (uint32_t)window;
    if (window >= WINDOW_MAX / 2 && most == SIZE_MAX)
        begin_ahead(c, index + window);
    ssize_t r = fill_range(c, index, window, out);
    return r < 0 ? (int)r : 0;
}

int cache_fill(struct page_cache *c, uint64_t index, size_t want, size_t most,
               struct cached_page **out)
{
    mutex_lock(&c->fill);
    int r = 0;
    *out = cache_find(c, index); /* somebody else may just have done it */
    if (!*out && join_window(c, index))
        *out = cache_find(c, index);
    if (!*out)
        r = fill_locked(c, index, want, most, out);
    mutex_unlock(&c->fill);
    cache_balance();
    return r;
}

/* ---- readers ---- */

int cache_get(struct page_cache *c, uint64_t index, bool make, struct cached_page **out)
{
    struct cached_page *p = cache_find(c, index);
    *out = p;
    if (likely(p != NULL))
        return 0;
    if (c->inode->ops->read_pages)
        return cache_fill(c, index, 1, SIZE_MAX, out);
    if (!make)
        return 0;
    p = cache_page_new(c, index);
    if (!p)
        return -ENOMEM;
    *out = cache_insert(c, p);
    if (*out == p && atomic_load(&p->pins) == 1) { /* the map could not take it */
        cache_put(p);
        *out = NULL;
        return -ENOMEM;
    }
    return 0;
}

ssize_t cache_get_run(struct page_cache *c, uint64_t index, struct cached_page *out[],
                      size_t max, size_t most)
{
    size_t n = cache_find_run(c, index, out, max);
    if (likely(n))
        return (ssize_t)n;
    int r = c->inode->ops->read_pages ? cache_fill(c, index, max, most, out)
                                      : cache_get(c, index, false, out);
    return r < 0 ? r : 1;
}

/* Out of the pages of a run, which begins with the page of `pos`. */
static size_t copy_run(struct iter *to, struct cached_page *const run[], size_t count,
                       uint64_t pos, size_t size)
{
    size_t done = 0;
    for (size_t i = 0; i < count && done < size; i++) {
        size_t offset = (pos + done) & (PAGE_SIZE - 1);
        size_t n = MIN(size - done, (size_t)PAGE_SIZE - offset);
        size_t copied = run[i] ? iter_copy_to(to, run[i]->data + offset, n) : iter_zero(to, n);
        done += copied;
        if (copied < n)
            break;
    }
    return done;
}

ssize_t cache_read(struct page_cache *c, struct iter *to, uint64_t pos, uint64_t size)
{
    size_t done = 0;
    while (to->remaining && pos < size) {
        struct cached_page *run[RUN];
        uint64_t left = MIN((uint64_t)to->remaining, size - pos);
        size_t offset = pos & (PAGE_SIZE - 1);
        size_t want = (size_t)MIN((offset + left + PAGE_SIZE - 1) >> PAGE_SHIFT, (uint64_t)RUN);
        ssize_t got = cache_get_run(c, pos >> PAGE_SHIFT, run, want, SIZE_MAX);
        if (got < 0)
            return done ? (ssize_t)done : got;
        size_t n = (size_t)MIN(left, ((uint64_t)got << PAGE_SHIFT) - offset);
        size_t copied = copy_run(to, run, (size_t)got, pos, n);
        for (ssize_t i = 0; i < got; i++) {
            if (run[i])
                cache_put(run[i]);
        }
        done += copied;
        pos += copied;
        if (copied < n)
            return done ? (ssize_t)done : -EFAULT;
    }
    return (ssize_t)done;
}
