/* SPDX-License-Identifier: BSD-3-Clause */
/* From the host's bytes to a program with arguments, directory and environment. */
#include "abi/errno.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "service/service.h"

struct cursor {
    char *at, *end;
};

/* The next string; NULL: there is none. The NUL behind the payload ends an unfinished one,
 * which is refused. */
static char *next(struct cursor *c)
{
    if (c->at >= c->end)
        return NULL;
    char *s = c->at;
    size_t n = strnlen(s, (size_t)(c->end - s));
    c->at += n + 1;
    return c->at <= c->end ? s : NULL;
}

static char **next_list(struct cursor *c, uint32_t count)
{
    if (count > (size_t)(c->end - c->at))
        return NULL;
    char **list = kcalloc(count + 1ull, sizeof(*list));
    for (uint32_t i = 0; list && i < count; i++) {
        list[i] = next(c);
        if (!list[i]) {
            kfree(list);
            return NULL;
        }
    }
    return list;
}

void service_parse_free(struct service_exec *e)
{
    kfree(e->argv);
    kfree(e->envp);
    e->argv = e->envp = NULL;
}

int service_parse_exec(char *bytes, size_t size, struct service_exec *out)
{
    struct control_exec head;
    struct cursor c = {bytes + sizeof(head), bytes + size};
    *out = (struct service_exec){.fd = {-1, -1, -1}};
    if (size < sizeof(head))
        return -EINVAL;
    memcpy(&head, bytes, sizeof(head));
    for (int i = 0; i < 3; i++)
        out->fd[i] = head.fd[i] >= 0 && head.fd[i] < 1 << 20 ? head.fd[i] : -1;
    out->flags = head.flags;
    out->uid = head.flags & CONTROL_EXEC_USER ? head.uid : 0;
    out->gid = head.flags & CONTROL_EXEC_USER ? head.gid : 0;
    out->rows = head.rows;
    out->columns = head.columns;
    out->program = next(&c);
    out->directory = next(&c);
    if (!out->program || !out->directory || out->program[0] != '/' || !head.argc ||
        (out->directory[0] && out->directory[0] != '/'))
        return -EINVAL;
    out->argv = next_list(&c, head.argc);
    out->envp = out->argv ? next_list(&c, head.envc) : NULL;
    if (out->envp && c.at == c.end)
        return 0;
    service_parse_free(out);
    return -EINVAL;
}
