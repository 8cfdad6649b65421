/* SPDX-License-Identifier: BSD-3-Clause */
/* Argument blocks; see args.h. */
#include "proc/args.h"

#include "abi/errno.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"

#define FIRST_CAPACITY 4096u

void args_free(struct arg_block *b)
{
    kfree(b->data);
    *b = (struct arg_block){0};
}

static int make_room(struct arg_block *b, size_t bytes)
{
    size_t capacity = b->capacity ? b->capacity : FIRST_CAPACITY;
    while (capacity - b->used < bytes)
        capacity *= 2;
    if (capacity == b->capacity)
        return 0;
    char *p = krealloc(b->data, capacity);
    if (!p)
        return -ENOMEM;
    b->data = p;
    b->capacity = capacity;
    return 0;
}

/* What counts against the limit: the strings and one pointer each. */
static bool too_big(const struct arg_block *b, size_t more, size_t limit)
{
    return b->used + more + (b->count + 1ull) * sizeof(uint64_t) > limit;
}

int args_add(struct arg_block *b, const char *s, size_t limit)
{
    size_t size = strlen(s) + 1;
    if (size > ARG_STRING_MAX || too_big(b, size, limit))
        return -E2BIG;
    int r = make_room(b, size);
    if (r)
        return r;
    memcpy(b->data + b->used, s, size);
    b->used += size;
    b->count++;
    return 0;
}

int args_add_array(struct arg_block *b, char *const *array, size_t limit)
{
    int r = 0;
    for (; *array && !r; array++)
        r = args_add(b, *array, limit);
    return r;
}

static int add_user_string(struct arg_block *b, uaddr_t s, size_t limit)
{
    size_t room = 256;
    for (;;) {
        int r = make_room(b, room);
        if (r)
            return r;
        room = MIN(b->capacity - b->used, (size_t)ARG_STRING_MAX);
        ssize_t n = strncpy_from_user(b->data + b->used, s, room);
        if (n >= 0) {
            if (too_big(b, (size_t)n + 1, limit))
                return -E2BIG;
            b->used += (size_t)n + 1;
            b->count++;
            return 0;
        }
        if (n != -ENAMETOOLONG)
            return (int)n;
        if (room == ARG_STRING_MAX || too_big(b, room, limit))
            return -E2BIG;
        room = MIN(room * 4, (size_t)ARG_STRING_MAX);
    }
}

int args_add_user(struct arg_block *b, uaddr_t array, size_t limit)
{
    uint64_t s;
    if (!array)
        return 0;
    for (;; array += sizeof(s)) {
        int r = get_user(&s, array);
        if (r || !s)
            return r;
        r = add_user_string(b, s, limit);
        if (r)
            return r;
    }
}

int args_replace_first(struct arg_block *b, const char *const *with, size_t count, size_t limit)
{
    struct arg_block n = {0};
    size_t skip = b->count ? strlen(b->data) + 1 : 0, rest = b->used - skip;
    int r = 0;
    for (size_t i = 0; i < count && !r; i++)
        r = args_add(&n, with[i], limit);
    if (!r && too_big(&n, rest, limit))
        r = -E2BIG;
    if (!r)
        r = make_room(&n, rest + 1);
    if (r) {
        args_free(&n);
        return r;
    }
    if (rest)
        memcpy(n.data + n.used, b->data + skip, rest);
    n.used += rest;
    n.count += b->count ? b->count - 1 : 0;
    args_free(b);
    *b = n;
    return 0;
}
