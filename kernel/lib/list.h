/* SPDX-License-Identifier: BSD-3-Clause */
/* Intrusive doubly linked list. Removed nodes point to themselves; corrupted links stop us. */
#pragma once

#include "lib/log.h"
#include "lib/types.h"

struct list {
    struct list *next, *prev;
};

#define LIST_INIT(name)                                                                        \
    {                                                                                          \
        &(name), &(name)                                                                       \
    }

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}
static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}
static inline void list_insert_between(struct list *n, struct list *prev, struct list *next)
{
    assert(prev->next == next && next->prev == prev);
    n->prev = prev;
    n->next = next;
    prev->next = n;
    next->prev = n;
}
/* Adds at the head. */
static inline void list_push(struct list *head, struct list *n)
{
    list_insert_between(n, head, head->next);
}
/* Adds at the tail. */
static inline void list_append(struct list *head, struct list *n)
{
    list_insert_between(n, head->prev, head);
}
static inline void list_remove(struct list *n)
{
    assert(n->prev->next == n && n->next->prev == n);
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}
/* Takes the first node, or NULL. */
static inline struct list *list_pop(struct list *head)
{
    struct list *n = head->next;
    if (n == head)
        return NULL;
    list_remove(n);
    return n;
}

#define list_entry(node, type, member) container_of(node, type, member)
#define list_for_each(var, head, member)                                                       \
    for (var = list_entry((head)->next, __typeof__(*var), member); &var->member != (head);     \
         var = list_entry(var->member.next, __typeof__(*var), member))
/* The body may remove `var`. */
#define list_for_each_safe(var, tmp, head, member)                                             \
    for (var = list_entry((head)->next, __typeof__(*var), member),                             \
        tmp = list_entry(var->member.next, __typeof__(*var), member);                          \
         &var->member != (head);                                                               \
         var = tmp, tmp = list_entry(tmp->member.next, __typeof__(*tmp), member))
