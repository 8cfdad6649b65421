# SPDX-License-Identifier: BSD-3-Clause
# abi/syscalls.tbl -> the kernel's dispatch header (out=kernel), a list of numbers and names
# (out=names) or docs/syscalls.md (out=docs).
function ctype(kind) {
    if (kind ~ /^(int|sig|pid|fd|dirfd)$/) return "int"
    if (kind ~ /^(uint|mode)$/) return "uint32_t"
    if (kind ~ /^(long|off)$/) return "int64_t"
    if (kind ~ /^(size|ulong|hex)$/) return "uint64_t"
    if (kind ~ /^(ptr|str|buf|path)$/) return "uaddr_t"
    printf "syscalls.tbl:%d: unknown kind %s\n", NR, kind > "/dev/stderr"
    failed = 1
    return "int"
}
BEGIN {
    split("rdi rsi rdx r10 r8 r9", reg, " ")
    if (out == "kernel") print "/* Generated from abi/syscalls.tbl. */"
}
/^#/ || NF == 0 { next }
{
    nr = $1; name = $2; n = 0; level = ""; caveat = ""
    for (i = 3; i <= NF; i++) {
        if ($i ~ /^(full|partial|none)$/ && level == "") { level = $i; continue }
        if (level != "") { caveat = caveat (caveat == "" ? "" : " ") $i; continue }
        if ($i == "-") continue
        split($i, part, ":"); n++
        argname[n] = part[1]; argkind[n] = part[2]; shownkind[n] = part[2]
        sub(/\/.*/, "", argkind[n])
    }
    if (level == "" || n > 6 || nr in seen) {
        printf "syscalls.tbl:%d: bad or repeated line\n", NR > "/dev/stderr"; failed = 1; exit 1
    }
    seen[nr] = 1; count[level]++
    args = ""; call = ""; kinds = ""; shown = ""; bare = ""
    for (i = 1; i <= n; i++) {
        t = ctype(argkind[i])
        args = args (i > 1 ? ", " : "") t " " argname[i]
        call = call (i > 1 ? ", " : "") "(" t ")r->" reg[i]
        kinds = kinds (i > 1 ? " " : "") shownkind[i]
        bare = bare (i > 1 ? " " : "") argkind[i]
        shown = shown (i > 1 ? ", " : "") argname[i]
    }
    if (level != "none") {
        protos = protos "int64_t sys_" name "(" (n ? args : "void") ");\n"
        wrap = wrap "static int64_t call_" name "(const struct regs *r)\n{\n"
        wrap = wrap "    return sys_" name "(" call ");\n}\n"
        table = table "    [" nr "] = {call_" name ", \"" name "\", \"" kinds "\", " n "},\n"
    }
    if (level != "none") names = names "{" nr ", \"" name "\", \"" bare "\"},\n"
    doc[nr] = "| " nr " | " name "(" shown ") | " level " | " caveat " |"
    if (nr + 0 > max) max = nr + 0
}
END {
    if (failed) exit 1
    if (out == "kernel") {
        print "#ifndef SYSCALL_PROTOTYPES\n#define SYSCALL_PROTOTYPES\n" protos "#endif"
        print "#ifdef SYSCALL_TABLE\n" wrap
        print "static const struct syscall_entry syscall_table[] = {\n" table "};\n#endif"
    } else if (out == "names") {
        printf "%s", names
    } else {
        print "# System calls\n\nGenerated from `abi/syscalls.tbl` by `make docs`."
        print "A number that is not listed gives ENOSYS.\n"
        printf "%d full, %d partial, ", count["full"], count["partial"]
        printf "%d not implemented.\n\n", count["none"]
        print "| number | call | support | caveat |\n|---|---|---|---|"
        for (i = 0; i <= max; i++) if (i in doc) print doc[i]
    }
}
