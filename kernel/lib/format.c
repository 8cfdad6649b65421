/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The printf subset of lib/string.h. Output that does not fit is counted, not written.
 * Not here: floating point, %n, positional arguments, wide characters.
 */
#include "lib/string.h"

struct output {
    char *dst;
    size_t size;
    size_t length;
};

struct spec {
    bool zero, left, plus, alternate, space;
    int width, precision; /* precision -1: none given */
    int bytes;            /* of an integer argument: 1, 2, 4, 8 */
    char kind;
};

static void put(struct output *o, char c)
{
    if (o->length + 1 < o->size)
        o->dst[o->length] = c;
    o->length++;
}

static void pad(struct output *o, char c, int n)
{
    for (; n > 0; n--)
        put(o, c);
}

static void put_text(struct output *o, const struct spec *s, const char *text, size_t n)
{
    int fill = s->width > (int)n ? s->width - (int)n : 0;
    if (!s->left)
        pad(o, ' ', fill);
    for (size_t i = 0; i < n; i++)
        put(o, text[i]);
    if (s->left)
        pad(o, ' ', fill);
}

/* Digits of `value`, last first; returns how many (0 for 0). */
static int digits_of(char *out, uint64_t value, unsigned base, bool upper)
{
    const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    int n = 0;
    for (; value; value /= base)
        out[n++] = set[value % base];
    return n;
}

static void put_number(struct output *o, const struct spec *s, uint64_t value, const char *sign)
{
    char digits[24];
    bool hex = s->kind == 'x' || s->kind == 'X' || s->kind == 'p';
    unsigned base = hex ? 16 : s->kind == 'o' ? 8 : 10;
    int n = digits_of(digits, value, base, s->kind == 'X');
    int least = s->precision < 0 ? 1 : s->precision;
    if (s->kind == 'o' && s->alternate && least <= n)
        least = n + 1;
    int zeros = least > n ? least - n : 0;
    if (hex && (s->kind == 'p' || (s->alternate && value)))
        sign = s->kind == 'X' ? "0X" : "0x";
    int total = (int)strlen(sign) + zeros + n;
    if (s->zero && !s->left && s->precision < 0 && s->width > total) {
        zeros += s->width - total;
        total = s->width;
    }
    if (!s->left)
        pad(o, ' ', s->width - total);
    while (*sign)
        put(o, *sign++);
    pad(o, '0', zeros);
    while (n)
        put(o, digits[--n]);
    if (s->left)
        pad(o, ' ', s->width - total);
}

static const char *parse_flags(const char *f, struct spec *s)
{
    for (;; f++) {
        if (*f == '0')
            s->zero = true;
        else if (*f == '-')
            s->left = true;
        else if (*f == '+')
            s->plus = true;
        else if (*f == '#')
            s->alternate = true;
        else if (*f == ' ')
            s->space = true;
        else
            return f;
    }
}

static const char *parse_int(const char *f, int *out)
{
    int v = 0;
    for (; *f >= '0' && *f <= '9'; f++)
        v = v < 100000 ? v * 10 + (*f - '0') : v;
    *out = v;
    return f;
}

static const char *parse_length(const char *f, struct spec *s)
{
    s->bytes = 4;
    if (*f == 'z' || *f == 'j' || *f == 't') {
        s->bytes = 8;
        return f + 1;
    }
    if (*f == 'l') {
        s->bytes = 8;
        return f[1] == 'l' ? f + 2 : f + 1;
    }
    if (*f == 'h') {
        s->bytes = f[1] == 'h' ? 1 : 2;
        return f[1] == 'h' ? f + 2 : f + 1;
    }
    return f;
}

struct arguments {
    va_list list;
};

static const char *parse_spec(const char *f, struct spec *s, struct arguments *a)
{
    *s = (struct spec){.precision = -1};
    f = parse_flags(f, s);
    if (*f == '*') {
        s->width = va_arg(a->list, int);
        f++;
        if (s->width < 0) {
            s->left = true;
            s->width = s->width < -100000 ? 100000 : -s->width;
        }
    } else {
        f = parse_int(f, &s->width);
    }
    if (*f == '.' && f[1] == '*') {
        s->precision = va_arg(a->list, int);
        f += 2;
    } else if (*f == '.') {
        f = parse_int(f + 1, &s->precision);
    }
    f = parse_length(f, s);
    s->kind = *f;
    return *f ? f + 1 : f;
}

static void put_signed(struct output *o, const struct spec *s, struct arguments *a)
{
    int64_t v = s->bytes == 8 ? va_arg(a->list, int64_t) : va_arg(a->list, int);
    if (s->bytes == 2)
        v = (int16_t)v;
    if (s->bytes == 1)
        v = (int8_t)v;
    const char *sign = v < 0 ? "-" : s->plus ? "+" : s->space ? " " : "";
    put_number(o, s, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, sign);
}

static void put_unsigned(struct output *o, const struct spec *s, struct arguments *a)
{
    uint64_t v = s->bytes == 8 ? va_arg(a->list, uint64_t) : va_arg(a->list, unsigned);
    if (s->bytes == 2)
        v = (uint16_t)v;
    if (s->bytes == 1)
        v = (uint8_t)v;
    put_number(o, s, v, "");
}

static void put_string(struct output *o, const struct spec *s, const char *text)
{
    if (!text)
        text = "(null)";
    size_t n = s->precision < 0 ? strlen(text) : strnlen(text, (size_t)s->precision);
    put_text(o, s, text, n);
}

static void put_argument(struct output *o, const struct spec *s, struct arguments *a)
{
    char c;
    switch (s->kind) {
    case 'd':
    case 'i':
        put_signed(o, s, a);
        break;
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        put_unsigned(o, s, a);
        break;
    case 'p':
        put_number(o, s, (uint64_t)(uintptr_t)va_arg(a->list, void *), "");
        break;
    case 'c':
        c = (char)va_arg(a->list, int);
        put_text(o, s, &c, 1);
        break;
    case 's':
        put_string(o, s, va_arg(a->list, const char *));
        break;
    default: /* %% and what is unknown show themselves */
        if (s->kind)
            put(o, s->kind);
    }
}

int format_string_v(char *dst, size_t size, const char *format, va_list args)
{
    struct output o = {.dst = dst, .size = size};
    struct arguments a;
    va_copy(a.list, args);
    while (*format) {
        struct spec s;
        if (*format != '%') {
            put(&o, *format++);
            continue;
        }
        format = parse_spec(format + 1, &s, &a);
        put_argument(&o, &s, &a);
    }
    va_end(a.list);
    if (size)
        dst[o.length < size ? o.length : size - 1] = '\0';
    return (int)o.length;
}

int format_string(char *dst, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = format_string_v(dst, size, format, args);
    va_end(args);
    return n;
}
