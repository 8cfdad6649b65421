# SPDX-License-Identifier: BSD-3-Clause
# `occlum exec` at a terminal: an interactive bash in the service with job control, resizing,
# detaching, stopping; a client that is killed. The working directory is a built instance.
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from terminal import DEADLINE, Failed, Terminal, check, main
import termios

OCCLUM = os.environ["OCCLUM"]


def start(*argv):
    return Terminal([OCCLUM, "exec", *argv])


def bash():
    t = start("/bin/bash", "--norc", "--noprofile", "--noediting", "-i")
    t.expect(r"\$ $")
    return t


def ps():
    return subprocess.run([OCCLUM, "ps"], capture_output=True, text=True, check=True).stdout


def wait_for(what, condition):
    until = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > until:
            raise Failed(what)


def test_job_control():
    t = bash()
    check("job control", b"no job control" in t.text, False)
    t.run("tty", r"/dev/pts/\d+\r\n.*\$ $")
    t.run("cat", "")
    t.run("one", r"one\r\n")
    t.type("\x1a")
    t.expect(r"\^Z.*Stopped\s+cat\r\n.*\$ $")
    t.run("fg", r"cat\r\n")
    t.run("two", r"two\r\n")
    t.type("\x03")
    t.expect(r"\^C.*\$ $")
    t.run("echo status $?", r"status 130\r\n.*\$ $")
    t.run("stty size", r"24 80\r\n.*\$ $")
    t.run("trap 'new=$(stty size)' WINCH", r"\$ $")
    t.run('echo go; until [ "$new" ]; do :; done; echo is $new', r"go\r\n")
    t.resize(30, 100)
    t.expect(r"is 30 100\r\n.*\$ $")
    t.type("exit 7\n")
    check("exit status", t.end(), 7)
    t.close()


def test_terminal_is_put_back():
    t = Terminal(["/bin/sh"])
    t.expect(r"\$ $|# $")
    before = t.modes()
    t.run(f"{OCCLUM} exec /bin/cat", "")
    wait_for("raw mode", lambda: not t.modes()[3] & termios.ICANON)
    t.type("x\r")
    t.expect(r"x\r\nx\r\n")
    t.type("\x04")
    wait_for("the old modes", lambda: t.modes() == before)
    t.close()


def test_detach():
    t = start("/bin/sleep", "4321")
    wait_for("sleep runs", lambda: "sleep 4321" in ps())
    t.type("\x10\x11")
    check("exit status", t.end(), 0)
    check("goes on", "sleep 4321" in ps(), True)
    subprocess.run([OCCLUM, "kill", "-9", "all"], check=True)
    wait_for("it is gone", lambda: "sleep 4321" not in ps())
    t.close()


# The client is killed: its terminal inside is hung up.
def test_killed_client():
    t = start("/bin/sleep", "1234")
    wait_for("sleep runs", lambda: "sleep 1234" in ps())
    os.kill(t.pid, signal.SIGKILL)
    check("exit status", t.end(), 128 + signal.SIGKILL)
    wait_for("it is gone", lambda: "sleep 1234" not in ps())
    t.close()


# Without job control inside, Ctrl-Z stops program and client; SIGCONT continues both.
def test_stop():
    t = start("/bin/cat")
    t.run("one", r"one\r\n")
    t.type("\x1a")
    t.wait_stopped()
    check("state inside", " T " in ps(), True)
    os.kill(t.pid, signal.SIGCONT)
    t.run("two", r"two\r\n")
    t.type("\x04")
    check("exit status", t.end(), 0)
    t.close()


def test_many_lines():
    t = start("/bin/sh", "-c", "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done")
    t.expect(r"line 4999\r\n")
    check("exit status", t.end(), 0)
    check("all lines", t.text.count(b"line"), 5000)
    t.close()


main(globals())
