/* SPDX-License-Identifier: BSD-3-Clause */
/* Iterators over guest or kernel memory. */
#include "mm/iter.h"

#include "abi/errno.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"

static void iter_single(struct iter *it, uint64_t base, size_t size, bool user)
{
    it->segments = NULL; /* each by itself: a string instruction would take longer */
    it->segment_count = 1;
    it->single = (struct iter_segment){base, size};
    it->offset = 0;
    it->remaining = size;
    it->user = user;
}

void iter_user(struct iter *it, uaddr_t base, size_t size)
{
    iter_single(it, base, MIN(size, (size_t)ITER_MAX_BYTES), true);
}

void iter_kernel(struct iter *it, void *base, size_t size)
{
    iter_single(it, (uint64_t)base, size, false);
}

int iter_user_vector(struct iter *it, uaddr_t iov, size_t count, struct iter_segment **segments)
{
    size_t total = 0;

    *segments = NULL;
    if (count > ITER_MAX_SEGMENTS)
        return -EINVAL;
    struct iter_segment *s = kcalloc(MAX(count, (size_t)1), sizeof(*s));
    if (!s)
        return -ENOMEM;
    if (copy_from_user(s, iov, count * sizeof(*s))) {
        kfree(s);
        return -EFAULT;
    }
    for (size_t i = 0; i < count; i++) {
        if ((ssize_t)s[i].size < 0) {
            kfree(s);
            return -EINVAL;
        }
        s[i].size = MIN(s[i].size, (size_t)ITER_MAX_BYTES - total);
        total += s[i].size;
    }
    *it =
        (struct iter){.segments = s, .segment_count = count, .remaining = total, .user = true};
    *segments = s;
    return 0;
}

static const struct iter_segment *front(const struct iter *it)
{
    return it->segments ? it->segments : &it->single;
}

void iter_advance(struct iter *it, size_t size)
{
    it->remaining -= size;
    while (size) {
        size_t left = front(it)->size - it->offset;
        if (size < left) {
            it->offset += size;
            return;
        }
        size -= left;
        it->offset = 0;
        it->segment_count--;
        if (it->segments)
            it->segments++;
        else
            it->single.size = 0;
    }
}

void iter_revert(struct iter *it, const struct iter *saved)
{
    *it = *saved;
}

enum direction { TO, FROM, ZERO };

static size_t move_part(const struct iter *it, uint64_t at, void *buffer, size_t n,
                        enum direction d)
{
    static const char zeros[512];

    switch (d) {
    case TO:
        if (it->user)
            return copy_to_user_partial(at, buffer, n);
        memcpy((void *)at, buffer, n);
        return n;
    case FROM:
        if (it->user)
            return copy_from_user_partial(buffer, at, n);
        memcpy(buffer, (const void *)at, n);
        return n;
    case ZERO:
        n = MIN(n, sizeof(zeros));
        return it->user ? copy_to_user_partial(at, zeros, n) : (memset((void *)at, 0, n), n);
    }
    return 0;
}

static size_t move(struct iter *it, void *buffer, size_t size, enum direction d)
{
    size_t done = 0;

    size = MIN(size, it->remaining);
    while (done < size) {
        const struct iter_segment *s = front(it);
        size_t n = MIN(size - done, s->size - it->offset);
        if (!n) { /* an empty segment */
            it->segment_count--;
            it->segments++;
            it->offset = 0;
            continue;
        }
        size_t moved = move_part(it, s->base + it->offset, (char *)buffer + done, n, d);
        iter_advance(it, moved);
        done += moved;
        if (moved < n && d != ZERO)
            break;
        if (!moved)
            break;
    }
    return done;
}

size_t iter_copy_to(struct iter *it, const void *src, size_t size)
{
    return move(it, (void *)(uintptr_t)src, size, TO);
}

size_t iter_copy_from(struct iter *it, void *dst, size_t size)
{
    return move(it, dst, size, FROM);
}

size_t iter_zero(struct iter *it, size_t size)
{
    return move(it, (void *)(uintptr_t)16, size, ZERO);
}
