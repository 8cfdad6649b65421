/* SPDX-License-Identifier: BSD-3-Clause */
/* Terminals: termios(3), ioctl_tty(2), pty(7). */
#pragma once

#include <stdint.h>

#include "abi/poll.h"

#define TTY_CC_COUNT 19

struct abi_termios { /* TCGETS, TCSETS* */
    uint32_t iflag, oflag, cflag, lflag;
    uint8_t line;
    uint8_t cc[TTY_CC_COUNT];
};

struct abi_termios2 { /* TCGETS2, TCSETS*2 */
    uint32_t iflag, oflag, cflag, lflag;
    uint8_t line;
    uint8_t cc[TTY_CC_COUNT];
    uint32_t ispeed, ospeed;
};

struct abi_winsize {
    uint16_t row, col, xpixel, ypixel;
};

/* indexes into cc */
#define VINTR    0
#define VQUIT    1
#define VERASE   2
#define VKILL    3
#define VEOF     4
#define VTIME    5
#define VMIN     6
#define VSWTC    7
#define VSTART   8
#define VSTOP    9
#define VSUSP    10
#define VEOL     11
#define VREPRINT 12
#define VDISCARD 13
#define VWERASE  14
#define VLNEXT   15
#define VEOL2    16

/* iflag */
#define IGNBRK  0000001u
#define BRKINT  0000002u
#define PARMRK  0000010u
#define ISTRIP  0000040u
#define INLCR   0000100u
#define IGNCR   0000200u
#define ICRNL   0000400u
#define IUCLC   0001000u
#define IXON    0002000u
#define IXANY   0004000u
#define IXOFF   0010000u
#define IMAXBEL 0020000u
#define IUTF8   0040000u

/* oflag */
#define OPOST  0000001u
#define OLCUC  0000002u
#define ONLCR  0000004u
#define OCRNL  0000010u
#define ONOCR  0000020u
#define ONLRET 0000040u
#define TABDLY 0014000u
#define XTABS  0014000u

/* cflag */
#define CS8    0000060u
#define CREAD  0000200u
#define CBAUD  0010017u
#define B38400 0000017u

/* lflag */
#define ISIG    0000001u
#define ICANON  0000002u
#define ECHO    0000010u
#define ECHOE   0000020u
#define ECHOK   0000040u
#define ECHONL  0000100u
#define NOFLSH  0000200u
#define TOSTOP  0000400u
#define ECHOCTL 0001000u
#define ECHOPRT 0002000u
#define ECHOKE  0004000u
#define IEXTEN  0100000u

#define TCSBRK      0x5409u
#define TCXONC      0x540au
#define TCFLSH      0x540bu
#define TIOCSCTTY   0x540eu
#define TIOCOUTQ    0x5411u
#define TIOCPKT     0x5420u
#define TIOCNOTTY   0x5422u
#define TIOCSETD    0x5423u
#define TIOCGETD    0x5424u
#define TCSBRKP     0x5425u
#define TIOCGSID    0x5429u
#define TCGETS2     0x802c542au
#define TCSETS2     0x402c542bu
#define TCSETSW2    0x402c542cu
#define TCSETSF2    0x402c542du
#define TIOCGPTN    0x80045430u
#define TIOCSPTLCK  0x40045431u
#define TIOCSIG     0x40045436u
#define TIOCGPKT    0x80045438u
#define TIOCGPTLCK  0x80045439u
#define TIOCGPTPEER 0x5441u

#define TCIFLUSH  0
#define TCOFLUSH  1
#define TCIOFLUSH 2
#define TCOOFF    0
#define TCOON     1
#define TCIOFF    2
#define TCION     3

/* The first byte that a master reads in packet mode. */
#define TIOCPKT_DATA       0x00u
#define TIOCPKT_FLUSHREAD  0x01u
#define TIOCPKT_FLUSHWRITE 0x02u
#define TIOCPKT_STOP       0x04u
#define TIOCPKT_START      0x08u
#define TIOCPKT_NOSTOP     0x10u
#define TIOCPKT_DOSTOP     0x20u
