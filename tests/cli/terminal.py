# SPDX-License-Identifier: BSD-3-Clause
# Interactive programs under `occlum try` at a terminal: job control inside, signals of keys,
# resizing, the terminal's modes, and stopping and continuing the whole.
import os
import shutil
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from terminal import Terminal, check, main
import termios

OCCLUM = os.environ.get("OCCLUM")


# Without OCCLUM natively, to see what is right.
def start(*argv, **more):
    if not OCCLUM:
        return Terminal(list(argv), **more)
    return Terminal([OCCLUM, "try", "--quiet", *argv], **more)


def bash():
    t = start("/bin/bash", "--norc", "--noprofile", "--noediting", "-i")
    t.expect(r"\$ $")
    return t


def test_bash_job_control():
    t = bash()
    check("job control", "no job control" in t.text.decode(), False)
    t.run("tty", r"/dev/(tty|pts/\d+)\r\n\$ $")
    t.run("cat", "")  # each step is seen to have happened before the next key
    t.run("one", r"one\r\n")
    t.type("\x1a")
    t.expect(r"\^Z.*Stopped\s+cat\r\n\$ $")
    t.run("jobs", r"\[1\]\+\s+Stopped\s+cat\r\n\$ $")
    t.run("sleep 100 &", r"\[2\] \d+\r\n\$ $")
    t.run("jobs", r"Running\s+sleep 100 &\r\n\$ $")
    t.run("bg %1", r"cat &\r\n.*\$ $")  # reads from the background: stops again
    t.run("until jobs %1 | grep -q Stopped; do :; done; echo stopped", r"stopped\r\n\$ $")
    t.run("fg %1", r"cat\r\n")
    t.run("two", r"two\r\n")
    t.type("\x03")
    t.expect(r"\^C.*\$ $")
    t.run("echo status $?", r"status 130\r\n\$ $")
    t.run("kill %2; wait %2; echo ended $?", r"\nended 143\r\n.*\$ $")
    t.run("cat", "")
    t.run("typed", r"typed\r\n")
    t.type("\x04")
    t.expect(r"\$ $")
    t.type("exit 7\n")
    check("exit status", t.end(), 7)
    t.close()


def test_resize():
    t = bash()
    t.run("stty size", r"24 80\r\n\$ $")
    t.run("trap 'new=$(stty size)' WINCH", r"\$ $")
    t.run("echo go; until [ \"$new\" ]; do :; done; echo is $new", r"go\r\n")
    t.resize(30, 100)
    t.expect(r"is 30 100\r\n\$ $")
    t.type("exit\n")
    t.end()
    t.close()


def test_modes():
    t = bash()
    before = t.modes()
    t.run("stty -echo raw; echo done", r"done")
    check("raw", bool(t.modes()[3] & termios.ICANON), False)
    t.type("stty sane; echo back\n")
    t.expect(r"back")
    check("sane", bool(t.modes()[3] & termios.ICANON), True)
    t.type("stty raw -echo\nexec false\n")
    t.end()
    if OCCLUM:
        check("after the end", t.modes(), before)
    t.close()


# A program without job control inside: the whole stops, as outside.
def test_stop_whole():
    if not OCCLUM:
        return  # nobody could continue it: it would not stop
    t = start("/bin/cat")
    t.run("one", r"one\r\n")
    t.type("\x1a")
    check("stopped by", os.WSTOPSIG(t.wait_stopped()) in (signal.SIGSTOP, signal.SIGTSTP), True)
    os.kill(t.pid, signal.SIGCONT)
    t.run("two", r"two\r\n")
    t.type("\x04")
    check("exit status", t.end(), 0)
    t.close()


def test_keys_kill():
    for key, sig in (("\x03", signal.SIGINT), ("\x1c", signal.SIGQUIT)):
        t = start("/bin/cat")
        t.run("x", r"x\r\n")
        t.type(key)
        check("exit status", t.end(), 128 + sig)
        t.close()
    for sig in (signal.SIGTERM, signal.SIGHUP):
        t = start("/bin/cat")
        t.run("x", r"x\r\n")
        os.kill(t.pid, sig)
        check("exit status", t.end(), 128 + sig)
        t.close()


def test_python():
    t = start("python3", "-q")
    t.expect(r">>> $")
    t.run("6 * 7", r"42\r\n>>> $")
    t.run("while True: pass", r"\.\.\. $")
    t.type("\n")
    t.expect(r"\r\n")  # it has begun: a signal just before Python awaits a key is forgotten
    t.type("\x03")
    t.expect(r"KeyboardInterrupt.*>>> $")
    t.run("input()", "")
    t.run("said", r"'said'\r\n>>> $")
    t.type("\x04")
    check("exit status", t.end(), 0)
    t.close()


def test_less():
    if not shutil.which("less"):
        return
    t = start("less", "/etc/services", env=dict(os.environ, TERM="vt100"))
    before = t.modes()
    t.expect(r"services")
    check("raw", bool(t.modes()[3] & termios.ICANON), False)
    t.type("G")
    t.expect(r"END")
    t.type("q")
    check("exit status", t.end(), 0)
    check("canonical again", bool(t.modes()[3] & termios.ICANON), True)
    t.close()


def test_fish():
    if not shutil.which("fish"):
        return
    t = start("/usr/bin/fish", "--no-config", "-i", env=dict(os.environ, TERM="dumb", HOME="/tmp"))
    t.type("sh -c 'echo re\"\"ady; exec cat'\n")  # what is typed before it runs may be lost
    t.expect(r"ready\r\n")
    t.type("one\n")
    t.expect(r"one\r\n.*one\r\n")
    t.type("\x1a")
    t.expect(r"has stopped")
    t.type("fg\n")
    t.expect(r"Send job[^\n]*\n")
    t.type("two\n")
    t.expect(r"two\r\n.*two\r\n")
    t.type("\x04")
    t.expect(r"[#>] $")
    t.type("echo a{1,2}b | string upper\n")
    t.expect(r"A1B A2B.*[#>] $")
    t.type("exit 3\n")
    check("exit status", t.end(), 3)
    t.close()


main(globals())
