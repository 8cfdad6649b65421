# SPDX-License-Identifier: BSD-3-Clause
# How much memory of the machine a process and its descendants have, each page counted once
# (Pss), in KiB.
#   resident.py PID                    now
#   resident.py FILE COMMAND...        the most while the command ran, into FILE; its status
import os
import subprocess
import sys
import time

SECONDS_FIRST, SECONDS_LAST, SLOWER = 0.005, 0.2, 1.3


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


def peak(pid):
    try:
        with open(f"/proc/{pid}/status") as f:
            return sum(int(line.split()[1]) for line in f if line.startswith("VmHWM:"))
    except OSError:
        return 0


def resident(top):
    """Of one process alone also what it had between two looks."""
    all_of_them = descendants(top)
    now = sum(map(pss, all_of_them))
    return max(now, peak(top)) if len(all_of_them) == 1 else now


def main():
    if len(sys.argv) == 2:
        print(sum(map(pss, descendants(int(sys.argv[1])))))
        return
    child = subprocess.Popen(sys.argv[2:])
    most, pause = 0, SECONDS_FIRST
    while child.poll() is None:
        most = max(most, resident(child.pid))
        time.sleep(pause)
        pause = min(pause * SLOWER, SECONDS_LAST)
    with open(sys.argv[1], "a") as f:
        f.write(f"memory {most}\n")
    sys.exit(child.returncode % 256)


main()
