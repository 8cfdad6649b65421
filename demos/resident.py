# SPDX-License-Identifier: BSD-3-Clause
# How much memory of the machine a process and its descendants have, each page counted once
# (Pss), in KiB.
#   resident.py PID                    now
#   resident.py FILE COMMAND...        the most while the command ran, into FILE; its status
import os
import subprocess
import sys
import time

SECONDS_BETWEEN = 0.2


def descendants(top):
    children = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as f:
                parent = int(f.read().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        children.setdefault(parent, []).append(int(name))
    found = [top]
    for pid in found:
        found += children.get(pid, [])
    return found


def pss(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            return sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    except OSError:
        return 0


def resident(top):
    return sum(map(pss, descendants(top)))


def main():
    if len(sys.argv) == 2:
        print(resident(int(sys.argv[1])))
        return
    child = subprocess.Popen(sys.argv[2:])
    most = 0
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            break
        most = max(most, resident(child.pid))
        time.sleep(SECONDS_BETWEEN)
    with open(sys.argv[1], "a") as f:
        f.write(f"memory {max(most, usage.ru_maxrss)}\n")
    sys.exit(os.waitstatus_to_exitcode(status) % 256)


main()
