/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Input: signals, flow control, editing of the line being typed, and echo. Output processing.
 * A line ends with a mark beside its last byte; VEOF is a zero byte with a mark, which a read
 * consumes without returning it.
 * LIMIT: ECHOPRT (the erased text of paper terminals) echoes as ECHOE does.
 */
#include "tty/ldisc.h"

#include "abi/signal.h"
#include "lib/string.h"

#define DISABLED 0 /* a control character that is switched off */

void ldisc_init(struct ldisc *d)
{
    static const uint8_t cc[TTY_CC_COUNT] = {
        [VINTR] = 3,     [VQUIT] = 28,   [VERASE] = 127, [VKILL] = 21, [VEOF] = 4,
        [VMIN] = 1,      [VSTART] = 17,  [VSTOP] = 19,   [VSUSP] = 26, [VREPRINT] = 18,
        [VDISCARD] = 15, [VWERASE] = 23, [VLNEXT] = 22,
    };
    memset(d, 0, sizeof(*d));
    d->termios = (struct abi_termios2){
        .iflag = ICRNL | IXON,
        .oflag = OPOST | ONLCR,
        .cflag = B38400 | CS8 | CREAD,
        .lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
        .ispeed = 38400,
        .ospeed = 38400,
    };
    memcpy(d->termios.cc, cc, sizeof(cc));
}

static bool has(const struct ldisc *d, uint32_t lflag)
{
    return d->termios.lflag & lflag;
}

static bool is_cc(const struct ldisc *d, unsigned which, uint8_t c)
{
    return c != DISABLED && d->termios.cc[which] == c;
}

static bool is_control(uint8_t c)
{
    return c < 32 || c == 127;
}

static bool continues(const struct ldisc *d, uint8_t c)
{
    return (d->termios.iflag & IUTF8) && (c & 0xc0) == 0x80;
}

/* ---- output ---- */

static uint32_t out_room(const struct ldisc *d)
{
    return LDISC_OUT - (d->out_head - d->out_tail);
}

bool ldisc_output_room(const struct ldisc *d)
{
    return !d->stopped && out_room(d) > 16;
}

/* The caller has seen that there is room; an echo that finds none is lost. */
static void put(struct ldisc *d, uint8_t c)
{
    if (out_room(d))
        d->out[d->out_head++ % LDISC_OUT] = c;
}

static void put_tab(struct ldisc *d)
{
    uint32_t n = 8 - (d->column & 7);
    d->column += n;
    if ((d->termios.oflag & TABDLY) != XTABS) {
        put(d, '\t');
        return;
    }
    while (n--)
        put(d, ' ');
}

static void put_newline(struct ldisc *d)
{
    uint32_t flags = d->termios.oflag;
    if (flags & ONLCR)
        put(d, '\r');
    put(d, '\n');
    if (flags & (ONLCR | ONLRET))
        d->column = d->canon_column = 0;
}

static void put_return(struct ldisc *d)
{
    uint32_t flags = d->termios.oflag;
    if ((flags & ONOCR) && d->column == 0)
        return;
    if (flags & OCRNL) {
        put(d, '\n');
        if (!(flags & ONLRET))
            return;
    } else {
        put(d, '\r');
    }
    d->column = d->canon_column = 0;
}

static void put_processed(struct ldisc *d, uint8_t c)
{
    if (!(d->termios.oflag & OPOST)) {
        put(d, c);
        return;
    }
    switch (c) {
    case '\n':
        put_newline(d);
        return;
    case '\r':
        put_return(d);
        return;
    case '\t':
        put_tab(d);
        return;
    case '\b':
        d->column -= d->column > 0;
        break;
    default:
        if ((d->termios.oflag & OLCUC) && c >= 'a' && c <= 'z')
            c -= 'a' - 'A';
        d->column += !is_control(c) && !continues(d, c);
        break;
    }
    put(d, c);
}

size_t ldisc_output(struct ldisc *d, const uint8_t *bytes, size_t n)
{
    size_t done = 0;
    while (done < n && ldisc_output_room(d))
        put_processed(d, bytes[done++]);
    return done;
}

size_t ldisc_take_output(struct ldisc *d, uint8_t *to, size_t size)
{
    size_t n = MIN(size, (size_t)(d->out_head - d->out_tail));
    for (size_t i = 0; i < n; i++)
        to[i] = d->out[d->out_tail++ % LDISC_OUT];
    return n;
}

/* ---- echo ---- */

static void echo_visible(struct ldisc *d, uint8_t c)
{
    if (has(d, ECHOCTL) && is_control(c) && c != '\t') {
        put_processed(d, '^');
        put_processed(d, c ^ 0100);
    } else {
        put_processed(d, c);
    }
}

static void echo(struct ldisc *d, uint8_t c)
{
    if (!has(d, ECHO))
        return;
    if (d->canon == d->head)
        d->canon_column = d->column;
    echo_visible(d, c);
}

static void rub_out(struct ldisc *d)
{
    put(d, '\b');
    put(d, ' ');
    put(d, '\b');
    d->column -= d->column > 0;
}

/* ---- what is typed ---- */

static uint8_t at(const struct ldisc *d, uint32_t i)
{
    return d->in[i % LDISC_IN];
}

static void set_end(struct ldisc *d, uint32_t i, bool end)
{
    uint64_t bit = 1ull << (i % 64);
    uint64_t *word = &d->ends[i % LDISC_IN / 64];
    *word = end ? *word | bit : *word & ~bit;
}

static bool is_end(const struct ldisc *d, uint32_t i)
{
    return d->ends[i % LDISC_IN / 64] >> (i % 64) & 1;
}

static void store(struct ldisc *d, uint8_t c)
{
    set_end(d, d->head, false);
    d->in[d->head++ % LDISC_IN] = c;
}

static void end_line(struct ldisc *d, uint8_t c)
{
    store(d, c);
    set_end(d, d->head - 1, true);
    d->canon = d->head;
    d->overflow = false;
}

/* In canonical mode a line that grows too long loses its end, but can still be ended. */
bool ldisc_input_room(const struct ldisc *d)
{
    uint32_t used = d->head - d->tail;
    if (has(d, ICANON) && d->canon == d->tail)
        return true;
    return used < LDISC_IN - 2;
}

void ldisc_flush_input(struct ldisc *d)
{
    d->tail = d->canon = d->head;
    d->packet |= TIOCPKT_FLUSHREAD;
}

/* What has been written is with the other side already, as on Linux: only the news. */
void ldisc_flush_output(struct ldisc *d)
{
    d->packet |= TIOCPKT_FLUSHWRITE;
}

void ldisc_stop(struct ldisc *d, bool stop)
{
    if (d->stopped == stop)
        return;
    d->stopped = stop;
    d->packet &= ~(TIOCPKT_STOP | TIOCPKT_START);
    d->packet |= stop ? TIOCPKT_STOP : TIOCPKT_START;
}

/* Columns from the beginning of the line, or from the last tab, to the end of what is left. */
static uint32_t columns_before(const struct ldisc *d)
{
    uint32_t n = 0;
    for (uint32_t i = d->head; i != d->canon;) {
        uint8_t c = at(d, --i);
        if (c == '\t')
            return n;
        if (is_control(c))
            n += has(d, ECHOCTL) ? 2 : 0;
        else
            n += !continues(d, c);
    }
    return n + d->canon_column;
}

static void echo_erased(struct ldisc *d, uint8_t c, bool one)
{
    if (one && !has(d, ECHOE)) {
        echo_visible(d, d->termios.cc[VERASE]);
    } else if (c == '\t') {
        for (uint32_t n = 8 - (columns_before(d) & 7); n; n--) {
            put(d, '\b');
            d->column -= d->column > 0;
        }
    } else if (!is_control(c) || has(d, ECHOCTL)) {
        rub_out(d);
        if (is_control(c))
            rub_out(d);
    }
}

static bool is_word(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           c == '_' || c >= 0x80;
}

/* Takes the last character, of one or several bytes, off the line; its first byte. */
static uint8_t drop_last(struct ldisc *d)
{
    uint8_t c;
    do
        c = at(d, --d->head);
    while (continues(d, c) && d->head != d->canon);
    return c;
}

static void erase(struct ldisc *d, unsigned which)
{
    bool word = false;
    while (d->head != d->canon) {
        uint32_t before = d->head;
        uint8_t c = drop_last(d);
        if (which == VWERASE && is_word(c)) {
            word = true;
        } else if (which == VWERASE && word) {
            d->head = before;
            return;
        }
        if (has(d, ECHO))
            echo_erased(d, c, which == VERASE);
        if (which == VERASE)
            return;
    }
}

static void kill_line(struct ldisc *d)
{
    d->overflow = false;
    if (has(d, ECHO) && has(d, ECHOK) && has(d, ECHOKE) && has(d, ECHOE)) {
        erase(d, VKILL);
        return;
    }
    if (has(d, ECHO)) {
        echo_visible(d, d->termios.cc[VKILL]);
        if (has(d, ECHOK))
            put_processed(d, '\n');
    }
    d->head = d->canon;
}

static void reprint(struct ldisc *d, uint8_t c)
{
    echo_visible(d, c);
    put_processed(d, '\n');
    for (uint32_t i = d->canon; i != d->head; i++)
        echo_visible(d, at(d, i));
}

/* True: the byte was an editing command. */
static bool edit(struct ldisc *d, uint8_t c)
{
    if (is_cc(d, VERASE, c))
        erase(d, VERASE);
    else if (is_cc(d, VKILL, c))
        kill_line(d);
    else if (is_cc(d, VWERASE, c) && has(d, IEXTEN))
        erase(d, VWERASE);
    else if (is_cc(d, VREPRINT, c) && has(d, IEXTEN) && has(d, ECHO))
        reprint(d, c);
    else
        return false;
    return true;
}

/* True: the byte ended the line. */
static bool finish(struct ldisc *d, uint8_t c)
{
    if (c == '\n') {
        if (has(d, ECHO) || has(d, ECHONL))
            put_processed(d, '\n');
        end_line(d, c);
    } else if (is_cc(d, VEOF, c)) {
        end_line(d, DISABLED);
    } else if (is_cc(d, VEOL, c) || (is_cc(d, VEOL2, c) && has(d, IEXTEN))) {
        echo(d, c);
        end_line(d, c);
    } else {
        return false;
    }
    return true;
}

static void signal_typed(struct ldisc *d, int sig, uint8_t c)
{
    if (!has(d, NOFLSH)) {
        ldisc_flush_input(d);
        ldisc_flush_output(d);
        d->overflow = false;
    }
    if (d->termios.iflag & IXON)
        ldisc_stop(d, false);
    if (has(d, ECHO))
        echo_visible(d, c);
    d->signal(d, sig);
}

static int signal_of(const struct ldisc *d, uint8_t c)
{
    if (!has(d, ISIG))
        return 0;
    return is_cc(d, VINTR, c)   ? SIGINT
           : is_cc(d, VQUIT, c) ? SIGQUIT
           : is_cc(d, VSUSP, c) ? SIGTSTP
                                : 0;
}

/* Flow control and signals: true if the byte goes no further. */
static bool command(struct ldisc *d, uint8_t c)
{
    if (d->termios.iflag & IXON) {
        if (is_cc(d, VSTART, c) || is_cc(d, VSTOP, c)) {
            ldisc_stop(d, !is_cc(d, VSTART, c));
            return true;
        }
    }
    int sig = signal_of(d, c);
    if (sig)
        signal_typed(d, sig, c);
    else if (d->stopped && (d->termios.iflag & (IXON | IXANY)) == (IXON | IXANY))
        ldisc_stop(d, false);
    return sig != 0;
}

static void store_typed(struct ldisc *d, uint8_t c)
{
    if (d->head - d->tail >= LDISC_IN - 2) { /* only in canonical mode */
        if (d->termios.iflag & IMAXBEL)
            put(d, '\a');
        d->overflow = true;
        return;
    }
    echo(d, c);
    if (c == 0xff && (d->termios.iflag & PARMRK))
        store(d, c);
    store(d, c);
}

/* False: the byte is dropped. */
static bool translate(const struct ldisc *d, uint8_t *c)
{
    uint32_t flags = d->termios.iflag;
    if (*c == '\r') {
        if (flags & IGNCR)
            return false;
        if (flags & ICRNL)
            *c = '\n';
    } else if (*c == '\n' && (flags & INLCR)) {
        *c = '\r';
    }
    return true;
}

static void receive(struct ldisc *d, uint8_t c)
{
    if (d->termios.iflag & ISTRIP)
        c &= 0x7f;
    if ((d->termios.iflag & IUCLC) && has(d, IEXTEN) && c >= 'A' && c <= 'Z')
        c += 'a' - 'A';
    if (d->literal) {
        d->literal = false;
        store_typed(d, c);
        return;
    }
    if (command(d, c) || !translate(d, &c))
        return;
    if (has(d, ICANON)) {
        if (edit(d, c))
            return;
        if (is_cc(d, VLNEXT, c) && has(d, IEXTEN)) {
            d->literal = true;
            if (has(d, ECHO) && has(d, ECHOCTL)) {
                put(d, '^');
                put(d, '\b');
            }
            return;
        }
        if (finish(d, c))
            return;
    }
    store_typed(d, c);
}

size_t ldisc_input(struct ldisc *d, const uint8_t *bytes, size_t n)
{
    size_t done = 0;
    /* Signals and flow control get through although nobody reads. */
    while (done < n && (ldisc_input_room(d) || signal_of(d, bytes[done]) ||
                        ((d->termios.iflag & IXON) &&
                         (is_cc(d, VSTART, bytes[done]) || is_cc(d, VSTOP, bytes[done])))))
        receive(d, bytes[done++]);
    return done;
}

/* ---- reading ---- */

bool ldisc_has_input(const struct ldisc *d)
{
    return (has(d, ICANON) ? d->canon : d->head) != d->tail;
}

bool ldisc_readable(const struct ldisc *d)
{
    if (has(d, ICANON))
        return d->canon != d->tail;
    uint32_t least = d->termios.cc[VTIME] ? 1 : MAX(d->termios.cc[VMIN], 1);
    return d->head - d->tail >= least;
}

uint32_t ldisc_input_count(const struct ldisc *d)
{
    uint32_t n = 0;
    if (!has(d, ICANON))
        return d->head - d->tail;
    for (uint32_t i = d->tail; i != d->canon; i++)
        n += !(is_end(d, i) && at(d, i) == DISABLED);
    return n;
}

static bool take_line(struct ldisc *d, uint8_t *to, size_t size, size_t *taken)
{
    while (d->tail != d->canon) {
        bool end = is_end(d, d->tail), eof = end && at(d, d->tail) == DISABLED;
        if (*taken == size && !eof)
            return true;
        if (!eof)
            to[(*taken)++] = at(d, d->tail);
        d->tail++;
        if (end)
            return false;
    }
    return false;
}

bool ldisc_take(struct ldisc *d, uint8_t *to, size_t size, size_t *taken)
{
    *taken = 0;
    if (has(d, ICANON))
        return take_line(d, to, size, taken);
    while (*taken < size && d->tail != d->head)
        to[(*taken)++] = at(d, d->tail++);
    d->canon = d->tail;
    return d->tail != d->head;
}

/* Going over to canonical mode makes a line of what has been typed so far. */
void ldisc_set_termios(struct ldisc *d, const struct abi_termios2 *t)
{
    bool changed = (d->termios.lflag ^ t->lflag) & ICANON;
    bool was_xon = d->termios.iflag & IXON, xon = t->iflag & IXON;
    d->termios = *t;
    if (changed) {
        memset(d->ends, 0, sizeof(d->ends));
        d->literal = d->overflow = false;
        d->canon = d->tail;
        if (has(d, ICANON) && d->head != d->tail) {
            d->canon = d->head;
            set_end(d, d->head - 1, true);
        }
    }
    if (was_xon && !xon)
        ldisc_stop(d, false);
    if (was_xon != xon)
        d->packet = (d->packet & ~(TIOCPKT_NOSTOP | TIOCPKT_DOSTOP)) |
                    (xon ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP);
}
