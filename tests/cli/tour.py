# SPDX-License-Identifier: BSD-3-Clause
# The README's tour at a terminal, and what an operator does after it.
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from terminal import Terminal, check, main

WORK = sys.argv[1]
PROMPT = r"tour\$ $"


# The commands after "## A short tour", with the lines of their here-documents.
def readme_commands():
    text = open(os.path.join(WORK, "README.md")).read()
    tour = text.split("## A short tour")[1].split("\n## ")[0]
    commands = []
    for line in tour.splitlines():
        if line.startswith("    $ "):
            commands.append([re.sub(r"\s+# .*", "", line[6:])])
        elif line.startswith("    ") and commands:
            commands[-1].append(re.sub(r"\s+# .*", "", line[4:]))
    return commands


class Shell:
    def __init__(self):
        env = dict(os.environ, TERM="dumb", PS1="tour$ ", HOME=WORK)
        os.chdir(WORK)
        self.t = Terminal(["/bin/bash", "--norc", "--noprofile", "--noediting"], env=env)
        self.t.expect(PROMPT)

    # Types a command; all that it printed.
    def run(self, command, *more):
        self.t.type(command + "\n")
        for line in more:
            self.t.type(line + "\n")
        if more:
            self.t.type("\x04")
        self.t.expect(PROMPT)
        output = self.t.text.decode(errors="replace")
        self.t.run("echo status=$?", r"status=\d+\r\n" + PROMPT)
        status = re.search(rb"status=(\d+)\r\n" + PROMPT.encode(), self.t.text).group(1)
        self.t.text, self.t.seen = b"", 0
        return int(status), output

    def good(self, command, *more):
        status, output = self.run(command, *more)
        check(f"{command}: status, after {output[-300:]!r}", status, 0)
        return output


def tour(sh):
    commands = readme_commands()
    names = " ".join(c[0].split()[0] + " " + " ".join(c[0].split()[1:2]) for c in commands)
    for wanted in ("occlum new", "copy_bom", "occlum build", "occlum run"):
        check(f"{wanted} in the README", wanted in names, True)
    for command, *more in commands:
        command = command.replace("build/bin/occlum", "occlum")
        output = sh.good(command, *more)
        if "6 * 7" in command:
            check("try", "42" in output.splitlines(), True)
        elif "mrenclave" in command:
            check("mrenclave", bool(re.search(r"^[0-9a-f]{64}\r?$", output, re.M)), True)
        elif "sqlite_version" in command:
            check("sqlite", bool(re.search(r"^3\.\d+\.\d+\r?$", output, re.M)), True)


def interactive(sh):
    t = sh.t
    t.run("PS1='inside$ ' occlum exec /bin/bash --norc --noprofile --noediting -i", r"inside\$ $")
    t.run("stty size", r"24 80\r\n.*inside\$ $")
    t.run("trap 'new=$(stty size)' WINCH", r"inside\$ $")
    t.run('echo go; until [ "$new" ]; do :; done; echo is $new', r"go\r\n")
    t.resize(30, 100)
    t.expect(r"is 30 100\r\n.*inside\$ $")
    t.run("cat", "")
    t.run("one", r"one\r\n")
    t.type("\x1a")
    t.expect(r"Stopped\s+cat\r\n.*inside\$ $")
    t.run("fg", r"cat\r\n")
    t.run("two", r"two\r\n")
    t.type("\x03")
    t.expect(r"\^C.*inside\$ $")
    t.run("echo got $?", r"got 130\r\n.*inside\$ $")
    t.type("exit 5\n")
    t.expect(PROMPT)
    t.run("echo status=$?", r"status=5\r\n" + PROMPT)
    t.text, t.seen = b"", 0


def service(sh):
    sh.good("occlum start")
    check("a second start", sh.run("occlum start")[0], 125)
    interactive(sh)
    pid = re.search(r"^(\d+)\r?$", sh.good("occlum exec -d /bin/sleep 1000"), re.M).group(1)
    check("ps", "/bin/sleep 1000" in sh.good("occlum ps"), True)
    sh.good(f"occlum kill {pid}")
    sh.good("while occlum ps | grep -q sleep; do :; done")
    sh.good("occlum logs")
    check("status", "running" in sh.good("occlum status"), True)
    sh.good("occlum stop")
    check("exec without a service", sh.run("occlum exec /bin/true")[0], 125)


def package(sh):
    sh.good("occlum package --debug ../app.tar.gz")
    sh.good("mkdir ../root && tar -xzf ../app.tar.gz -C ../root")
    enter = "chroot ../root /occlum" if os.getuid() == 0 else "cd ../root && ./occlum"
    output = sh.good(enter + " run /bin/echo all by itself")
    check("the package", "all by itself" in output, True)


def test_tour():
    sh = Shell()
    tour(sh)
    # More programs than the README's, for what follows.
    sh.good("cat > ../more.yaml", "includes: [base.yaml]", "targets:", "  - target: /bin",
            "    copy:", "      - files: [/bin/bash, /bin/cat, /bin/sleep, /bin/echo, /bin/stty]")
    sh.good("copy_bom -f ../more.yaml --root image")
    sh.good("sed -i 's/\"EXAMPLE\"/\"PS1\"/' Occlum.json && occlum build")
    service(sh)
    package(sh)
    sh.t.type("exit\n")
    check("exit", sh.t.end(), 0)
    sh.t.close()


main(globals())
