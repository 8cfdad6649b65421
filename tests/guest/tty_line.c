/* SPDX-License-Identifier: BSD-3-Clause */
/* Terminals: what the line discipline makes of typed and written bytes. LIBS: -lutil */
#include "tests/guest/test.h"

#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>

static int master, slave;
static struct termios normal;

static void fresh(void)
{
    if (master)
        expect(close(slave) | close(master), 0, 0);
    must(openpty(&master, &slave, NULL, NULL, NULL));
    must(tcgetattr(slave, &normal));
}

static void mode(tcflag_t iflag, tcflag_t oflag, tcflag_t lflag)
{
    struct termios t = normal;
    t.c_iflag = iflag;
    t.c_oflag = oflag;
    t.c_lflag = lflag;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    expect(tcsetattr(slave, TCSANOW, &t), 0, 0);
}

static void type(const char *text, size_t n)
{
    expect(write(master, text, n), n, 0);
}
#define TYPE(text) type(text, sizeof(text) - 1)

static int is(const char *got, ssize_t n, const char *want, size_t size)
{
    if (n == (ssize_t)size && !memcmp(got, want, size))
        return 1;
    fprintf(stderr, "got %zd bytes:", n);
    for (ssize_t i = 0; i < n; i++)
        fprintf(stderr, " %02x", (unsigned char)got[i]);
    fprintf(stderr, "\n");
    return 0;
}

static int reads(int fd, const char *want, size_t size)
{
    char got[512] = {0};
    size_t n = 0;
    while (n < size) { /* output comes in any portions */
        ssize_t r = read(fd, got + n, fd == master ? size - n : sizeof(got));
        if (r <= 0)
            break;
        n += (size_t)r;
        if (fd == slave)
            break;
    }
    return is(got, (ssize_t)n, want, size);
}
#define SLAVE_READS(want)  expect(reads(slave, want, sizeof(want) - 1), 1, 0)
#define MASTER_READS(want) expect(reads(master, want, sizeof(want) - 1), 1, 0)

static int nothing(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 0;
}

/* Linux hands typed bytes to the line discipline a little later. */
#define COMES(condition)                                                                       \
    do {                                                                                       \
        for (int i_ = 0; i_ < 2000 && !(condition); i_++)                                      \
            poll(NULL, 0, 1);                                                                  \
        expect(!!(condition), 1, 0);                                                           \
    } while (0)

static int count(int fd)
{
    int n = -1;
    return ioctl(fd, FIONREAD, &n) ? -1 : n;
}

static void defaults(void)
{
    struct winsize w;
    expect(normal.c_iflag == (ICRNL | IXON), 1, 0);
    expect(normal.c_oflag == (OPOST | ONLCR), 1, 0);
    expect(normal.c_lflag == (ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN),
           1, 0);
    expect(normal.c_cc[VINTR] == 3 && normal.c_cc[VEOF] == 4 && normal.c_cc[VERASE] == 127, 1,
           0);
    expect(ioctl(slave, TIOCGWINSZ, &w), 0, 0);
    expect(w.ws_row, 0, 0);
    w = (struct winsize){24, 80, 1, 2};
    expect(ioctl(master, TIOCSWINSZ, &w), 0, 0);
    memset(&w, 0, sizeof(w));
    expect(ioctl(slave, TIOCGWINSZ, &w), 0, 0);
    expect(w.ws_row == 24 && w.ws_col == 80 && w.ws_xpixel == 1 && w.ws_ypixel == 2, 1, 0);
    expect(isatty(slave), 1, 0);
    expect(lseek(slave, 0, SEEK_SET), -1, ESPIPE);
}

static void canonical(void)
{
    fresh();
    TYPE("one");
    COMES(count(master) == 3); /* the echo */
    expect(nothing(slave), 1, 0);
    expect(count(slave), 0, 0);
    TYPE("\rtwo\nthree");
    COMES(count(slave) == 8);
    SLAVE_READS("one\n");
    char c[2];
    expect(read(slave, c, 2), 2, 0);
    SLAVE_READS("o\n");
    expect(nothing(slave), 1, 0);
    TYPE("\004");
    SLAVE_READS("three");
    MASTER_READS("one\r\ntwo\r\nthree");
    TYPE("\004"); /* the end of the file */
    expect(read(slave, c, 2), 0, 0);
    TYPE("ab\004");
    expect(read(slave, c, 2), 2, 0);
    TYPE("x\n");
    SLAVE_READS("x\n");
    expect(fcntl(slave, F_SETFL, O_NONBLOCK), 0, 0);
    expect(read(slave, c, 2), -1, EAGAIN);
}

static void editing(void)
{
    fresh();
    TYPE("abx\177c\n");
    SLAVE_READS("abc\n");
    MASTER_READS("abx\b \bc\r\n");
    TYPE("junk\025ok\n");
    SLAVE_READS("ok\n");
    MASTER_READS("junk\b \b\b \b\b \b\b \bok\r\n");
    TYPE("one two \027\027\n");
    SLAVE_READS("\n");
    MASTER_READS("one two \b \b\b \b\b \b\b \b\b \b\b \b\b \b\b \b\r\n");
    TYPE("a\001\177b\n"); /* a control character takes two columns */
    SLAVE_READS("ab\n");
    MASTER_READS("a^A\b \b\b \bb\r\n");
    TYPE("a\t\177b\n");
    SLAVE_READS("ab\n");
    MASTER_READS("a\t\b\b\b\b\b\b\bb\r\n");
    TYPE("x\026\003y\n"); /* literal next */
    SLAVE_READS("x\003y\n");
    MASTER_READS("x^\b^Cy\r\n");
    TYPE("ab\022c\n"); /* reprint */
    SLAVE_READS("abc\n");
    MASTER_READS("ab^R\r\nabc\r\n");
    mode(ICRNL | IUTF8, OPOST | ONLCR, normal.c_lflag);
    TYPE("a\303\244\177b\n");
    SLAVE_READS("ab\n");
    MASTER_READS("a\303\244\b \bb\r\n");
}

static void flags(void)
{
    char c[8];
    fresh();
    mode(INLCR, 0, ICANON | ECHONL);
    TYPE("a\004");
    SLAVE_READS("a");
    mode(IGNCR, OPOST | ONLCR, ICANON | ECHONL);
    TYPE("a\rb\n");
    SLAVE_READS("ab\n");
    MASTER_READS("\r\n");
    mode(ISTRIP, 0, 0);
    TYPE("\301");
    SLAVE_READS("A");
    mode(0, OPOST | OLCUC | XTABS, 0);
    expect(write(slave, "ab\tc\n", 5), 5, 0);
    MASTER_READS("AB      C\n");
    mode(0, OPOST | OCRNL, 0);
    expect(write(slave, "a\rb", 3), 3, 0);
    MASTER_READS("a\nb");
    mode(0, OPOST | ONOCR, 0);
    expect(write(slave, "\n\rx\ry", 5), 5, 0);
    expect(read(master, c, 8) > 3, 1, 0);
    struct termios t = normal;
    t.c_lflag = ICANON | IEXTEN;
    t.c_cc[VEOL] = ';';
    t.c_cc[VEOL2] = '.';
    expect(tcsetattr(slave, TCSANOW, &t), 0, 0);
    TYPE("a;b.c");
    COMES(count(slave) == 4);
    SLAVE_READS("a;");
    SLAVE_READS("b.");
    expect(nothing(slave), 1, 0);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void raw_wait(cc_t min, cc_t time)
{
    struct termios t = normal;
    cfmakeraw(&t);
    t.c_cc[VMIN] = min;
    t.c_cc[VTIME] = time;
    expect(tcsetattr(slave, TCSANOW, &t), 0, 0);
}

static void raw(void)
{
    char c[16];
    fresh();
    raw_wait(1, 0);
    TYPE("a\003\004\r\n\177");
    SLAVE_READS("a\003\004\r\n\177");
    expect(write(slave, "x\ny", 3), 3, 0);
    MASTER_READS("x\ny");
    raw_wait(0, 0);
    expect(read(slave, c, 16), 0, 0);
    TYPE("ab");
    COMES(count(slave) == 2);
    SLAVE_READS("ab");
    raw_wait(0, 2);
    double start = seconds();
    expect(read(slave, c, 16), 0, 0);
    double took = seconds() - start;
    expect(took > 0.19 && took < 5, 1, 0);
    raw_wait(3, 0);
    TYPE("ab");
    COMES(count(slave) == 2);
    expect(nothing(slave), 1, 0); /* fewer than VMIN */
    TYPE("c");
    SLAVE_READS("abc");
    raw_wait(5, 1);
    TYPE("ab");
    start = seconds();
    SLAVE_READS("ab"); /* a pause between bytes ends it */
    expect(seconds() - start > 0.09, 1, 0);
    TYPE("abc");
    COMES(count(slave) == 3);
    expect(read(slave, c, 2), 2, 0);
    SLAVE_READS("c");
}

/* What was typed in raw mode becomes a line. */
static void change_of_mode(void)
{
    fresh();
    raw_wait(1, 0);
    TYPE("abc");
    COMES(count(slave) == 3);
    expect(tcsetattr(slave, TCSANOW, &normal), 0, 0);
    SLAVE_READS("abc");
    TYPE("lost");
    COMES(count(master) == 4);
    expect(tcsetattr(slave, TCSAFLUSH, &normal), 0, 0);
    TYPE("kept\n");
    SLAVE_READS("kept\n");
    TYPE("half");
    COMES(count(master) == 4 + 6 + 4);
    raw_wait(1, 0);
    SLAVE_READS("half");
}

static void flow(void)
{
    char c[8];
    fresh();
    TYPE("\023");
    expect(fcntl(slave, F_SETFL, O_NONBLOCK), 0, 0);
    struct pollfd p = {.fd = slave, .events = POLLOUT};
    COMES(poll(&p, 1, 0) == 0);
    expect(write(slave, "x", 1), -1, EAGAIN);
    TYPE("\021");
    COMES(poll(&p, 1, 0) == 1);
    expect(write(slave, "x", 1), 1, 0);
    MASTER_READS("x");
    expect(tcflow(slave, TCOOFF), 0, 0);
    expect(write(slave, "y", 1), -1, EAGAIN);
    expect(tcflow(slave, TCOON), 0, 0);
    expect(write(slave, "y", 1), 1, 0);
    MASTER_READS("y");
    expect(tcflow(slave, TCIOFF), 0, 0);
    MASTER_READS("\023");
    expect(tcflow(slave, 9), -1, EINVAL);
    TYPE("gone\n");
    MASTER_READS("gone\r\n");
    expect(tcflush(slave, TCIFLUSH), 0, 0);
    expect(read(slave, c, 8), -1, EAGAIN);
    expect(tcflush(slave, 7), -1, EINVAL);
    expect(tcdrain(slave), 0, 0);
    expect(tcsendbreak(slave, 0), 0, 0);
}

/* A line longer than the buffer keeps its beginning and can still be ended. */
static void long_line(void)
{
    static char line[6000], got[6000];
    fresh();
    mode(ICRNL, 0, ICANON);
    memset(line, 'a', sizeof(line));
    ssize_t n = 0;
    while (n < (ssize_t)sizeof(line)) {
        ssize_t r = must(write(master, line + n, sizeof(line) - (size_t)n));
        n += r;
    }
    TYPE("\n");
    n = must(read(slave, got, sizeof(got)));
    expect(n >= 4000 && n <= 4096 && got[n - 1] == '\n', 1, 0);
}

int main(void)
{
    fresh();
    defaults();
    canonical();
    editing();
    flags();
    raw();
    change_of_mode();
    flow();
    long_line();
    return test_end();
}
