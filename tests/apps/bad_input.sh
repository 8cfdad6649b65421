# SPDX-License-Identifier: BSD-3-Clause
# TIMEOUT: 120
# Programs that are none, or broken, are refused with a word, as shells do: 127 if it is not
# there, 126 if it cannot be executed; never a crash.
. tests/apps/lib.sh
need python3

status 127 /none/such/program
status 127 no-such-program-in-path
status 126 /etc
status 126 /etc/passwd

mkdir -p "$TMPDIR/bad"
cp /bin/true "$TMPDIR/bad/good"
: >"$TMPDIR/bad/empty"
head -c 40 /bin/true >"$TMPDIR/bad/header_cut"
head -c 200 /bin/true >"$TMPDIR/bad/phdrs_cut"
printf 'not a program' >"$TMPDIR/bad/text"
python3 - "$TMPDIR/bad" <<'E'
import struct, sys
d = sys.argv[1]
good = bytearray(open(d + "/good", "rb").read())
phoff, = struct.unpack_from("<Q", good, 32)
phnum, = struct.unpack_from("<H", good, 56)

def save(name, data):
    open(d + "/" + name, "wb").write(data)

def patch(name, *edits):
    data = bytearray(good)
    for at, form, value in edits:
        struct.pack_into(form, data, at, value)
    save(name, data)

loads = [phoff + 56 * i for i in range(phnum)
         if struct.unpack_from("<I", good, phoff + 56 * i)[0] == 1]
interp, = [phoff + 56 * i for i in range(phnum)
           if struct.unpack_from("<I", good, phoff + 56 * i)[0] == 3]
patch("machine_arm", (18, "<H", 183))
patch("class_32", (4, "B", 1))
patch("big_endian", (5, "B", 2))
patch("relocatable", (16, "<H", 1))
patch("phoff_huge", (32, "<Q", 1 << 60))
patch("phentsize_0", (54, "<H", 0))
patch("phnum_huge", (56, "<H", 0xffff))
patch("phnum_0", (56, "<H", 0))
patch("vaddr_kernel", (loads[1] + 16, "<Q", 0xffffffff80000000))
patch("memsz_huge", (loads[-1] + 40, "<Q", 1 << 62))
patch("memsz_below_filesz", (loads[0] + 40, "<Q", 1))
patch("offset_huge", (loads[1] + 8, "<Q", 1 << 62))
patch("misaligned", (loads[1] + 8, "<Q", 0x1001))
patch("interp_size_huge", (interp + 32, "<Q", 1 << 40))
patch("interp_size_0", (interp + 32, "<Q", 0))
at, = struct.unpack_from("<Q", good, interp + 8)
patch("interp_missing", (at + 5, "B", ord("X")))
for name in ("segment_fixed_huge",):
    patch(name, (16, "<H", 2), (loads[0] + 16, "<Q", 0x400000), (loads[1] + 16, "<Q", 1 << 46))
E
chmod +x "$TMPDIR"/bad/*
same "$TMPDIR/bad/good"
for file in "$TMPDIR"/bad/*; do
    case $file in
    */good) continue ;;
    */memsz_huge | */offset_huge | *_below_filesz |\
    */misaligned | */segment_fixed_huge | */interp_missing | */vaddr_kernel) ;;
    *) status 126 "$file"; continue ;;
    esac
    # Linux itself may start these and end them by a signal; anything but 0 and a crash of ours.
    try "$file" >/dev/null 2>"$TMPDIR/err"
    code=$?
    case $code in
    126 | 127 | 132 | 135 | 139 | 137) ;;
    *) echo "$file: status $code"; head -3 "$TMPDIR/err"; failed=1 ;;
    esac
done

# Scripts: the interpreter is started, a missing one is said.
printf '#!/bin/echo with an argument\n' >"$TMPDIR/script"
printf '#!/none/such\n' >"$TMPDIR/lost"
chmod +x "$TMPDIR/script" "$TMPDIR/lost"
same "$TMPDIR/script" and more
status 127 "$TMPDIR/lost"
exit $failed
