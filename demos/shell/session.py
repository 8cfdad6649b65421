# SPDX-License-Identifier: BSD-3-Clause
# Somebody works at a terminal: stops, continues and breaks off jobs, resizes the window, leaves.
#   session.py bash|fish [occlum run]      the command that runs a program inside goes last
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "../../tests/cli/lib"))
from terminal import Terminal, check, Failed

shell, prefix = sys.argv[1], sys.argv[2:]
prompt = r"[^\n]*[$#>] $"


def bash():
    t = Terminal([*prefix, "/bin/bash", "--norc", "--noprofile", "--noediting", "-i"])
    t.expect(prompt)
    t.run("cat", "")
    t.run("one", r"one\r\n")
    t.type("\x1a")
    t.expect(r"Stopped\s+cat\r\n" + prompt)
    print("Ctrl-Z stops a job")
    t.run("sleep 1000 &", r"\[2\] \d+\r\n" + prompt)
    t.run("jobs", r"Running\s+sleep 1000 &\r\n" + prompt)
    t.run("fg %1", r"cat\r\n")
    t.run("two", r"two\r\n")
    t.type("\x03")
    t.expect(r"\^C.*" + prompt)
    t.run("echo status $?", r"status 130\r\n" + prompt)
    print("fg continues it, Ctrl-C ends it")
    t.run("kill %2; wait %2; echo ended $?", r"\nended 143\r\n.*" + prompt)
    print("kill %2 ends one in the background")
    t.resize(30, 100)
    t.run("stty size", r"30 100\r\n" + prompt)
    print("the window has 30 lines of 100")
    t.run("seq 100000 | sort -n | tail -1 | cat", r"100000\r\n" + prompt)
    t.type("exit 7\n")
    check("status", t.end(), 7)
    t.close()


def fish():
    t = Terminal([*prefix, "/bin/env", "TERM=dumb", "HOME=/tmp", "/bin/fish", "--no-config", "-i"])
    t.expect(prompt)
    t.type("sh -c 'echo re\"\"ady; exec cat'\n")  # what is typed before it runs may be lost
    t.expect(r"ready\r\n")
    t.type("one\n")
    t.expect(r"one\r\n.*one\r\n")
    t.type("\x1a")
    t.expect(r"has stopped")
    print("Ctrl-Z stops a job")
    t.type("fg\n")
    t.expect(r"Send job[^\n]*\n")
    t.type("two\n")
    t.expect(r"two\r\n.*two\r\n")
    t.type("\x04")
    t.expect(prompt)
    print("fg continues it, Ctrl-D ends it")
    t.type("echo a{1,2}b | string upper\n")
    t.expect(r"A1B A2B.*" + prompt)
    t.type("exit 3\n")
    check("status", t.end(), 3)
    t.close()


try:
    {"bash": bash, "fish": fish}[shell]()
    print("left")
except Failed as why:
    print(why)
    sys.exit(1)
