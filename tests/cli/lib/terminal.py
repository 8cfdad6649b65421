# SPDX-License-Identifier: BSD-3-Clause
# For tests of what happens at a terminal: a command under a pseudo terminal of its own, what is
# typed at it, and what is awaited from it. Everything is bounded by DEADLINE seconds.
import errno
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

DEADLINE = 30.0


class Failed(Exception):
    pass


class Terminal:
    def __init__(self, argv, rows=24, columns=80, env=None):
        self.text = b""
        self.seen = 0
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            self.resize(rows, columns, 0)
            os.execvpe(argv[0], argv, env or dict(os.environ, TERM="dumb", PS1="$ "))
        self.status = None

    def resize(self, rows, columns, fd=None):
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.fd if fd is None else fd, termios.TIOCSWINSZ, size)

    def type(self, text):
        os.write(self.fd, text.encode())

    def read_some(self, until):
        if not select.select([self.fd], [], [], max(0, until - time.monotonic()))[0]:
            raise Failed("nothing came in time")
        try:
            more = os.read(self.fd, 65536)
        except OSError as e:
            if e.errno != errno.EIO:
                raise
            more = b""
        if not more:
            raise Failed("the command has ended")
        self.text += more

    # Waits for the expression in what came since the last one was found.
    def expect(self, expression):
        until = time.monotonic() + DEADLINE
        pattern = re.compile(expression.encode(), re.S)
        while True:
            found = pattern.search(self.text, self.seen)
            if found:
                self.seen = found.end()
                return found.group().decode(errors="replace")
            try:
                self.read_some(until)
            except Failed as why:
                raise Failed(f"awaiting {expression!r}: {why}; got {self.text[self.seen:][-300:]!r}")

    # Types a line and waits for what comes after its echo.
    def run(self, line, expression):
        self.type(line + "\n")
        self.expect(re.escape(line) + "\r?\n")
        return self.expect(expression)

    def modes(self):
        return termios.tcgetattr(self.fd)

    def wait_stopped(self):
        return self.wait_status(os.WUNTRACED, os.WIFSTOPPED)

    def wait_status(self, flags, wanted):
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until:
            pid, status = os.waitpid(self.pid, flags | os.WNOHANG)
            if pid and wanted(status):
                return status
            if pid:
                self.status = status
                raise Failed(f"status {status:#x}")
            select.select([self.fd], [], [], 0.01)
            try:
                if select.select([self.fd], [], [], 0)[0]:
                    self.read_some(until)
            except Failed:
                select.select([], [], [], 0.01)
        raise Failed("no status in time")

    # The exit status, as a shell has it.
    def end(self):
        status = self.wait_status(0, lambda s: os.WIFEXITED(s) or os.WIFSIGNALED(s))
        self.pid = 0
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)

    def close(self):
        if self.pid:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except OSError:
                pass
        os.close(self.fd)


def check(what, got, wanted):
    if got != wanted:
        raise Failed(f"{what}: {got!r}, wanted {wanted!r}")


# Runs every function of a dictionary whose name begins with "test_"; the exit status.
def main(names):
    failed = 0
    for name, function in sorted(names.items()):
        if not name.startswith("test_"):
            continue
        try:
            function()
            print(f"ok {name}", flush=True)
        except Failed as why:
            failed += 1
            print(f"FAILED {name}: {why}", flush=True)
    sys.exit(failed != 0)
