# SPDX-License-Identifier: BSD-3-Clause
"""What `occlum gdb` teaches gdb: where the enclave's kernel and the programs' files lie, and how
to look at tasks that no vCPU runs.

    occlum tasks            all tasks: number, process, state, name
    occlum bt [TID]         backtrace through kernel and program; no TID: of all tasks
    occlum symbols          load symbols of what has been mapped since (done at every stop)
    occlum catch            stop where a signal ends a program

Threads of the process are vCPUs. A thread that runs a program, or the kernel, is shown by gdb's
own commands; one in a call to the host shows the runtime.
"""
import os
import struct

import gdb

KERNEL = os.environ["OCCLUM_GDB_KERNEL"]
ROOTS = os.environ.get("OCCLUM_GDB_ROOTS", "/").split(":")
TOP_BYTES = 1 << 30  # LAYOUT_TOP_BYTES
PHDR = 56  # sizeof(Elf64_Phdr)
SAVED = ["rip", "rsp", "rbp", "rbx", "r12", "r13", "r14", "r15"]
STATES = ["runnable", "sleeping", "waiting", "dead"]

kernel_base = None
loaded = {}  # bias -> path


def memory(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def word(address):
    return struct.unpack("<Q", memory(address, 8))[0]


def pointer_to(name):
    return gdb.lookup_type("struct " + name).pointer()


def container(address, name, field):
    """The structure `name` whose member `field` lies at `address`."""
    kind = gdb.lookup_type("struct " + name)
    offset = [f.bitpos // 8 for f in kind.fields() if f.name == field][0]
    return gdb.Value(address - offset).cast(kind.pointer())


def find_kernel():
    """Loads the kernel's symbols once the enclave is there; False: it is not yet."""
    global kernel_base
    if kernel_base is not None:
        return True
    try:
        device = gdb.parse_and_eval("signal_dev")
        if not int(device):
            return False
        base, size = int(device["base"]), int(device["size"])
    except gdb.error:
        return False
    kernel_base = base + size - TOP_BYTES
    gdb.execute("add-symbol-file '%s' -o 0x%x" % (KERNEL, kernel_base), to_string=True)
    return True


# ---- the kernel's structures ----


def radix_values(node, level):
    for slot in range(64):
        value = int(node["slots"][slot])
        if value and level == 0:
            yield value
        elif value:
            yield from radix_values(gdb.Value(value).cast(pointer_to("radix_node")), level - 1)


def tasks():
    table = gdb.parse_and_eval("'table.c'::threads")
    if int(table["root"]):
        for thread in radix_values(table["root"], int(table["height"]) - 1):
            yield gdb.Value(thread).cast(pointer_to("thread"))["task"].address


def tree(node):
    if int(node):
        yield from tree(node["left"])
        yield node
        yield from tree(node["right"])


def mappings(mm):
    for node in tree(mm["vmas"]["node"]):
        yield container(int(node), "vma", "node")


def path_of(file):
    """As /proc/PID/maps shows it."""
    mount, entry = file["path"]["mount"], file["path"]["dentry"]
    names = []
    while int(mount):
        while int(entry) != int(mount["root"]) and int(entry) != int(entry["parent"]):
            names.append(entry["name"].string(errors="replace"))
            entry = entry["parent"]
        mount, entry = mount["parent"], mount["mountpoint"]
    return "/" + "/".join(reversed(names))


# ---- symbols of programs ----


def host_path(path):
    for root in ROOTS:
        if os.path.isfile(root + path):
            return root + path
    return None


def text_offset(path, offset):
    """Address minus file offset in the segment of an ELF file that `offset` lies in."""
    with open(path, "rb") as f:
        head = f.read(64)
        if head[:6] != b"\x7fELF\x02\x01":
            return None
        f.seek(struct.unpack_from("<Q", head, 32)[0])
        table = f.read(PHDR * struct.unpack_from("<H", head, 56)[0])
    for at in range(0, len(table) - PHDR + 1, PHDR):
        kind, _, where, address, _, in_file = struct.unpack_from("<IIQQQQ", table, at)
        if kind == 1 and where // 4096 * 4096 <= offset < where + in_file:
            return address - where
    return None


def load_symbols():
    if not find_kernel():
        return
    of_a_file = int(gdb.parse_and_eval("(unsigned long)&file_vm_ops"))
    seen = set()
    for task in tasks():
        mm = task["mm"]
        if not int(mm) or int(mm) in seen:
            continue
        seen.add(int(mm))
        for area in mappings(mm):
            if int(area["prot"]) & 4 and int(area["file_ops"]) == of_a_file:
                load_file(area)


def load_file(area):
    file = area["file"].cast(pointer_to("file"))
    path = host_path(path_of(file))
    offset = int(area["offset"])
    distance = text_offset(path, offset) if path else None
    if distance is None:
        return
    bias = int(area["start"]) - offset - distance
    if loaded.get(bias) == path:
        return
    if bias in loaded:
        gdb.execute("remove-symbol-file '%s'" % loaded[bias], to_string=True)
    loaded[bias] = path
    gdb.execute("add-symbol-file '%s' -o 0x%x" % (path, bias), to_string=True)


# ---- tasks that do not run ----


def context(task):
    """Where a task goes on in the kernel: what task_switch, or host_exit, put on its stack."""
    if not int(task["on_cpu"]):
        at = int(task["rsp"])
        r15, r14, r13, r12, rbp, rbx, rip = struct.unpack("<7Q", memory(at, 56))
        return dict(zip(SAVED, (rip, at + 56, rbp, rbx, r12, r13, r14, r15)))
    vcpu = gdb.parse_and_eval("queues[%d].vcpu" % int(task["vcpu"]))
    if int(vcpu["running"]) != int(task) or int(vcpu["state"]) != 2:  # VCPU_IN_HOSTCALL
        return None
    at = int(vcpu["hostcall_rsp"])
    r15, r14, r13, r12, rbp, rbx, _, rip = struct.unpack("<8Q", memory(at, 64))
    return dict(zip(SAVED, (rip, at + 64, rbp, rbx, r12, r13, r14, r15)))


def backtrace(task):
    registers = context(task)
    if registers is None:
        print("it runs on a vCPU: see `thread apply all bt`")
        return
    gdb.execute("frame 0", to_string=True)
    old = {name: int(gdb.parse_and_eval("(unsigned long)$" + name)) for name in SAVED}
    try:
        for name, value in registers.items():
            gdb.execute("set $%s = 0x%x" % (name, value))
        gdb.execute("backtrace")
    finally:
        gdb.execute("frame 0", to_string=True)
        for name, value in old.items():
            gdb.execute("set $%s = 0x%x" % (name, value))


def describe(task):
    state = STATES[min(int(task["state"]), 3)]
    if int(task["on_cpu"]):
        state = "vCPU %d" % int(task["vcpu"])
    return "%7d %7d  %-9s %s" % (int(task["tid"]), int(task["tgid"]), state,
                                 task["name"].string(errors="replace"))


class Occlum(gdb.Command):
    """Commands for the programs in an enclave: tasks, bt [TID], symbols, catch."""

    def __init__(self):
        super().__init__("occlum", gdb.COMMAND_DATA, prefix=True)


class Tasks(gdb.Command):
    """All tasks of the enclave."""

    def __init__(self):
        super().__init__("occlum tasks", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        load_symbols()
        print("    TID     PID  STATE     NAME")
        for task in tasks():
            print(describe(task))


class Backtrace(gdb.Command):
    """occlum bt [TID]: backtraces of tasks, through the kernel and the program."""

    def __init__(self):
        super().__init__("occlum bt", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        load_symbols()
        wanted, found = argument.strip(), False
        for task in tasks():
            if not wanted or int(task["tid"]) == int(wanted):
                found = True
                print(describe(task))
                backtrace(task)
        if wanted and not found:
            raise gdb.GdbError("no task %s; see `occlum tasks`" % wanted)


class Symbols(gdb.Command):
    """Load the symbols of what the programs have mapped."""

    def __init__(self):
        super().__init__("occlum symbols", gdb.COMMAND_FILES)

    def invoke(self, argument, from_tty):
        load_symbols()


class Catch(gdb.Command):
    """Stop where a signal ends a program."""

    def __init__(self):
        super().__init__("occlum catch", gdb.COMMAND_BREAKPOINTS)

    def invoke(self, argument, from_tty):
        if not find_kernel():
            raise gdb.GdbError("the enclave has not been entered yet: `tbreak run_loop`, `run`")
        gdb.Breakpoint("ends_program")


class Entered(gdb.Breakpoint):
    """The kernel's symbols are loaded before its first instruction."""

    def __init__(self):
        super().__init__("run_loop", internal=True)

    def stop(self):
        find_kernel()
        return False


def stopped(event):
    try:
        load_symbols()
    except gdb.error:
        pass  # in the middle of a change; the next stop, or `occlum symbols`, gets it


for line in ("set pagination off", "set confirm off", "set print thread-events off",
             "set debuginfod enabled off",
             "handle SIGSYS SIGILL SIGSEGV SIGBUS SIGFPE SIG42 nostop noprint pass"):
    gdb.execute(line, to_string=True)
for command in (Occlum, Tasks, Backtrace, Symbols, Catch):
    command()
gdb.events.stop.connect(stopped)
if gdb.selected_inferior().pid:
    load_symbols()
else:
    gdb.execute("set breakpoint pending on", to_string=True)
    Entered()
