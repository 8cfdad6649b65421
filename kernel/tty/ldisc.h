/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The line discipline of a terminal (termios(3)): what becomes of the bytes that are typed, of
 * those that programs write, and what a read gives. Plain data and code over it: no locks, no
 * waiting, no processes; whoever owns one sees to that.
 */
#pragma once

#include "abi/tty.h"
#include "lib/types.h"

#define LDISC_IN  4096u /* bytes typed and not read: MAX_CANON and more */
#define LDISC_OUT 8192u

struct ldisc {
    struct abi_termios2 termios;
    /* Typed; the three count bytes since the beginning: read up to here, complete lines end
     * here, typed up to here. tail <= canon <= head. */
    uint32_t tail, canon, head;
    uint8_t in[LDISC_IN];
    uint64_t
        ends[LDISC_IN / 64]; /* bit set: the byte ends a line; a zero then stands for EOF */
    bool literal;            /* the next byte comes after VLNEXT */
    bool overflow;           /* typed bytes were lost since the last line */

    /* Written by programs and echoed, for the other side. */
    uint32_t out_tail, out_head;
    uint8_t out[LDISC_OUT];
    uint32_t column, canon_column; /* of the cursor; where the typed line began */
    bool stopped;                  /* by VSTOP or TCOOFF */

    uint32_t packet; /* TIOCPKT_* that the other side has not heard of */
    /* A signal was typed. */
    void (*signal)(struct ldisc *d, int sig);
};

void ldisc_init(struct ldisc *d);
/* Typed bytes: how many were taken; the rest must come again. */
size_t ldisc_input(struct ldisc *d, const uint8_t *bytes, size_t n);
/* Bytes of a program: how many were taken. */
size_t ldisc_output(struct ldisc *d, const uint8_t *bytes, size_t n);
/* Can more be typed, or written? */
bool ldisc_input_room(const struct ldisc *d);
bool ldisc_output_room(const struct ldisc *d);
/*
 * Takes up to `size` bytes for a reader: at most one line in canonical mode. False: the line is
 * over, or there is nothing; *taken says how many there were.
 */
bool ldisc_take(struct ldisc *d, uint8_t *to, size_t size, size_t *taken);
/* Something that a read would return is there (in canonical mode a line, even an empty one). */
bool ldisc_has_input(const struct ldisc *d);
/* As poll(2) sees it: VMIN counts. */
bool ldisc_readable(const struct ldisc *d);
uint32_t ldisc_input_count(const struct ldisc *d); /* FIONREAD */
/* For the other side: takes what was written. */
size_t ldisc_take_output(struct ldisc *d, uint8_t *to, size_t size);
static inline uint32_t ldisc_output_count(const struct ldisc *d)
{
    return d->out_head - d->out_tail;
}
void ldisc_set_termios(struct ldisc *d, const struct abi_termios2 *t);
void ldisc_flush_input(struct ldisc *d);
void ldisc_flush_output(struct ldisc *d);
void ldisc_stop(struct ldisc *d, bool stop);
