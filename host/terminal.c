/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Programs inside set the user's terminal as they need it; whatever ends the run puts it back.
 * LIMIT: not SIGKILL.
 */
#include "host/terminal.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

static struct termios before, theirs;
static int terminal = -1;
static volatile sig_atomic_t touched;

void terminal_save(void)
{
    touched = 0;
    terminal = -1;
    for (int fd = 0; fd < 3 && terminal < 0; fd++)
        terminal = tcgetattr(fd, &before) ? -1 : fd;
}

void terminal_touched(void)
{
    touched = 1;
}

/* Also from the background, where this signal would stop us. */
static void set(const struct termios *t)
{
    sigset_t block, saved;

    sigemptyset(&block);
    sigaddset(&block, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &block, &saved);
    tcsetattr(terminal, TCSADRAIN, t);
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
}

void terminal_restore(void)
{
    if (touched && terminal >= 0)
        set(&before);
    touched = 0;
}

static int suspended;

void terminal_suspend(void)
{
    suspended = touched && terminal >= 0 && !tcgetattr(terminal, &theirs);
    if (suspended)
        set(&before);
}

void terminal_resume(void)
{
    if (!suspended)
        return;
    suspended = 0;
    tcgetattr(terminal, &before);
    set(&theirs);
}
