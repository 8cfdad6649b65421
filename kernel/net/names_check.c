/* SPDX-License-Identifier: BSD-3-Clause */
/* The forms of resolv.conf(5), hosts(5) and hostname(5). Pure code on untrusted text. */
#include "lib/string.h"
#include "net/names.h"

#define NAME_MAX_BYTES 253u
#define LABEL_MAX      63u
#define HOSTNAME_BYTES 64u

struct word {
    const char *at;
    size_t size;
};

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The next word of [*at, end); false: there is none. */
static bool next_word(const char **at, const char *end, struct word *w)
{
    while (*at < end && blank(**at))
        ++*at;
    w->at = *at;
    while (*at < end && !blank(**at))
        ++*at;
    w->size = (size_t)(*at - w->at);
    return w->size != 0;
}

static bool is_word(const struct word *w, const char *text)
{
    return w->size == strlen(text) && !memcmp(w->at, text, w->size);
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_ipv4(const struct word *w)
{
    uint32_t value = 0, digits = 0, parts = 1;
    for (size_t i = 0; i < w->size; i++) {
        if (w->at[i] == '.' && digits) {
            parts++;
            value = digits = 0;
        } else if (digit(w->at[i]) && ++digits <= 3) {
            value = value * 10 + (uint32_t)(w->at[i] - '0');
        } else {
            return false;
        }
        if (value > 255)
            return false;
    }
    return parts == 4 && digits;
}

/* Hexadecimal groups and colons, perhaps with the name of an interface behind a %. */
static bool is_ipv6(const struct word *w)
{
    uint32_t colons = 0, digits = 0;
    size_t i = 0;
    for (; i < w->size && w->at[i] != '%'; i++) {
        char c = w->at[i];
        bool hex = digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (c == ':') {
            colons++;
            digits = 0;
        } else if (c != '.' && (!hex || ++digits > 4)) {
            return false;
        }
    }
    for (size_t k = i + 1; k < w->size; k++) {
        if (!digit(w->at[k]) && !letter(w->at[k]) && w->at[k] != '.' && w->at[k] != '-')
            return false;
    }
    return colons >= 2 && colons <= 8 && i + 1 != w->size;
}

/* RFC 1123, and the underscores that people use all the same. */
static bool is_name(const struct word *w)
{
    size_t label = 0, size = w->size;
    if (size && w->at[size - 1] == '.' && size > 1)
        size--;
    for (size_t i = 0; i < size; i++) {
        char c = w->at[i];
        if (c == '.' && label && w->at[i - 1] != '-')
            label = 0;
        else if (!letter(c) && !digit(c) && c != '_' && !(c == '-' && label))
            return false;
        else if (++label > LABEL_MAX)
            return false;
    }
    return label && size <= NAME_MAX_BYTES && w->at[size - 1] != '-';
}

/* Letters, digits and a few signs, none of which means anything to anybody. */
static bool is_option(const struct word *w)
{
    for (size_t i = 0; i < w->size; i++) {
        char c = w->at[i];
        if (!letter(c) && !digit(c) && c != ':' && c != '-' && c != '_' && c != '.' && c != '/')
            return false;
    }
    return true;
}

static bool all_words(const char *at, const char *end, bool (*form)(const struct word *w),
                      bool some)
{
    struct word w;
    while (next_word(&at, end, &w)) {
        some = false;
        if (!form(&w) && !is_word(&w, "."))
            return false;
    }
    return !some;
}

static bool resolv_line(const char *at, const char *end)
{
    struct word key, value;
    if (!next_word(&at, end, &key))
        return true;
    if (is_word(&key, "nameserver"))
        return next_word(&at, end, &value) && (is_ipv4(&value) || is_ipv6(&value)) &&
               !next_word(&at, end, &value);
    if (is_word(&key, "search") || is_word(&key, "domain"))
        return all_words(at, end, is_name, false);
    return (is_word(&key, "options") || is_word(&key, "sortlist")) &&
           all_words(at, end, is_option, false);
}

static bool hosts_line(const char *at, const char *end)
{
    struct word address;
    if (!next_word(&at, end, &address))
        return true;
    return (is_ipv4(&address) || is_ipv6(&address)) && all_words(at, end, is_name, true);
}

static bool hostname_line(const char *at, const char *end)
{
    struct word name;
    if (!next_word(&at, end, &name))
        return true;
    return name.size <= HOSTNAME_BYTES && is_name(&name) && !next_word(&at, end, &name);
}

static bool line_valid(enum names_kind kind, const char *at, const char *end)
{
    for (const char *p = at; p < end; p++) {
        if (*p == '#' || (*p == ';' && kind == NAMES_RESOLV)) {
            end = p; /* what follows is a comment */
            break;
        }
    }
    switch (kind) {
    case NAMES_RESOLV:
        return resolv_line(at, end);
    case NAMES_HOSTS:
        return hosts_line(at, end);
    default:
        return hostname_line(at, end);
    }
}

bool names_valid(enum names_kind kind, const char *text, size_t size)
{
    const char *at = text, *end = text + size;
    for (const char *p = text; p < end; p++) {
        if ((*p < ' ' || *p > '~') && *p != '\t' && *p != '\n')
            return false;
    }
    while (at < end) {
        const char *stop = at;
        while (stop < end && *stop != '\n')
            stop++;
        if (!line_valid(kind, at, stop))
            return false;
        at = stop + 1;
    }
    return size != 0;
}
