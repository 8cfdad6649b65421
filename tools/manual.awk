# SPDX-License-Identifier: BSD-3-Clause
# Man pages. kind=help: from what `occlum help COMMAND` prints (name=occlum-run);
# kind=markdown: from a page of docs/ (name=Occlum.json). date and version go into the heading.
function escape(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    sub(/^\./, "\\\\\\&.", text)
    sub(/^'/, "\\\\(aq", text)
    return text
}
function heading(section) {
    printf ".TH \"%s\" %d \"\" \"Occlum %s\" \"Occlum\"\n", toupper(name), section, version
    printf ".SH NAME\n%s \\- %s\n", escape(name), escape(summary)
}
# **bold**, *emphasis*, `code` and [text](link).
function plain(text) {
    gsub(/\]\([^)]*\)/, "", text)
    gsub(/\[|\*\*?/, "", text)
    return escape(text)
}
function inline(text,    out, mark, end) {
    out = ""
    while ((mark = index(text, "`")) > 0) {
        out = out plain(substr(text, 1, mark - 1))
        text = substr(text, mark + 1)
        end = index(text, "`")
        if (!end)
            break
        out = out "\\fB" escape(substr(text, 1, end - 1)) "\\fR"
        text = substr(text, end + 1)
    }
    return out plain(text)
}
function fill(on) {
    if (on == filled)
        return
    print on ? ".fi" : ".nf"
    filled = on
}

kind == "help" && NR == 1 {
    sub(/^usage: /, "")
    usage = $0
    next
}
kind == "help" && NR == 3 {
    summary = $0
    sub(/\.$/, "", summary)
    heading(1)
    printf ".SH SYNOPSIS\n.B %s\n.SH DESCRIPTION\n", escape(usage)
    print ".nf"
    next
}
kind == "help" && NR > 3 { print escape($0) }

kind == "markdown" && NR == 1 {
    sub(/^# /, "")
    summary = "bills of materials for " $0
    if ($0 == name "" && name != "copy_bom")
        summary = "configuration of an instance of Occlum"
    heading(5)
    print ".SH DESCRIPTION"
    filled = 1
    next
}
kind == "markdown" && /^#/ {
    fill(1)
    sub(/^#+ /, "")
    print ".SH " escape(toupper($0))
    next
}
kind == "markdown" && /^    / {
    if (filled)
        print ".PP"
    fill(0)
    print escape($0)
    next
}
kind == "markdown" && /^\|/ {
    fill(1)
    if ($0 ~ /^\|[-| ]*\|$/ || !table++)
        next
    sub(/^\| */, "")
    sub(/ *\|$/, "")
    n = split($0, cell, / *\| */)
    print ".TP\n" inline(cell[1])
    for (i = 2; i <= n; i++)
        if (cell[i] != "" && cell[i] != " ")
            print (i == 2 && n > 2 ? "(default: " inline(cell[i]) ")" : inline(cell[i]))
    next
}
kind == "markdown" {
    table = 0
    if ($0 ~ /^ *$/) {
        if (filled)
            print ".PP"
        next
    }
    fill(1)
    print inline($0)
}
END {
    if (kind == "markdown")
        fill(1)
    if (name != "occlum")
        print ".SH SEE ALSO\n.BR occlum (1)"
}
