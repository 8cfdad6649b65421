/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Boms that are built in: what the runtimes and the C library of this machine look for by
 * themselves while they run, and reading a program does not tell. Each is made from what this
 * machine has. A file of the same name beside the bom or in an --include-dir comes before it.
 */
#include "bom/bom.h"

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bom/script.h"

#define LIBRARIES "/usr/lib/x86_64-linux-gnu"

/* A bom that is being written, and for whom. */
struct fragment {
    struct pool *pool;
    const char *name;
    const char *variant; /* what stands between "java-" and ".yaml", or "" */
    const char *program; /* the file that asked with autodep, or NULL */
    char *targets;
    char *excludes;
};

typedef struct err *(*fragment_fn)(struct fragment *f);

/* A string of YAML in which nothing is expanded. */
static char *quoted(struct pool *pool, const char *text)
{
    char *out = pool_alloc(pool, 2 * strlen(text) + 3), *to = out;
    *to++ = '\'';
    for (; *text; text++) {
        if (*text == '\'' || *text == '$')
            *to++ = *text;
        *to++ = *text;
    }
    *to = '\'';
    return out;
}

static struct err *lacks(const struct fragment *f, const char *what, const char *hint)
{
    struct err *err = err_new("%s: this machine has no %s", f->name, what);
    return err_with_status(err_hint(err, "%s", hint), BOM_NO_FILE);
}

static void add(struct fragment *f, const char *kind, const char *target, const char *source)
{
    f->targets = pool_printf(f->pool, "%s  - {target: %s, copy: [{%s: [%s]}]}\n", f->targets,
                             quoted(f->pool, target), kind, quoted(f->pool, source));
}

/* They keep their places; what is not here is left out. Gives how many are. */
static int add_file(struct fragment *f, const char *path)
{
    if (access(path, R_OK))
        return 0;
    add(f, "files", path_dirname(f->pool, path), path);
    return 1;
}

static int add_dir(struct fragment *f, const char *path)
{
    if (access(path, R_OK | X_OK))
        return 0;
    add(f, "dirs", path_dirname(f->pool, path), path);
    return 1;
}

static int add_matching(struct fragment *f, const char *pattern,
                        int (*adds)(struct fragment *, const char *))
{
    glob_t found;
    int count = 0;
    if (!glob(pattern, 0, NULL, &found))
        for (size_t i = 0; i < found.gl_pathc; i++)
            count += adds(f, found.gl_pathv[i]);
    globfree(&found);
    return count;
}

static void add_link(struct fragment *f, const char *target, const char *name, const char *to)
{
    f->targets = pool_printf(f->pool,
                             "%s  - {target: %s, createlinks: [{src: %s, linkname: %s}]}\n",
                             f->targets, quoted(f->pool, target), quoted(f->pool, to),
                             quoted(f->pool, name));
}

static void leave_out(struct fragment *f, const char *dir, const char *name)
{
    f->excludes = pool_printf(f->pool, "%s  - %s\n", f->excludes,
                              quoted(f->pool, path_join(f->pool, dir, name)));
}

/* ---- runtimes ---- */

static char *resolved(struct pool *pool, const char *path)
{
    char real[PATH_MAX];
    return path && realpath(path, real) ? pool_printf(pool, "%s", real) : NULL;
}

/* The interpreter that is asked for: the file itself, what its first line names, or the one
 * that a shell would run. */
static char *interpreter(struct fragment *f, const char *name)
{
    const char *file = f->program;
    struct script script;
    if (file && script_read(f->pool, file, &script))
        file = script_program(f->pool, &script);
    if (file && !strncmp(path_basename(file), name, strlen(name)) && !access(file, X_OK))
        return pool_printf(f->pool, "%s", file);
    return program_in_path(f->pool, name);
}

/* python3.11 has its modules in lib/python3.11 of the prefix that it stands in. */
static struct err *python(struct fragment *f)
{
    char *file = interpreter(f, "python"), *real;
    if (!file)
        file = program_in_path(f->pool, "python3");
    if (!(real = resolved(f->pool, file)))
        return lacks(f, "python3", "install it, or name the interpreter as a file with "
                                   "autodep: python");
    char *prefix = path_dirname(f->pool, path_dirname(f->pool, real));
    char *lib = pool_printf(f->pool, "%s/lib/%s", prefix, path_basename(real));
    if (access(path_join(f->pool, lib, "os.py"), R_OK))
        return lacks(f, pool_printf(f->pool, "%s/os.py, where %s has its modules", lib, real),
                     "install its standard library (Debian: libpython3-stdlib)");
    add_dir(f, lib);
    leave_out(f, lib, "test");
    leave_out(f, lib, "config-*");
    if (!f->program)
        add(f, "files", "/bin", file);
    return NULL;
}

/* True if the JDK there is of the version asked for. */
static bool is_java(struct fragment *f, const char *home, long version)
{
    char line[256];
    bool found = false;
    FILE *file = fopen(path_join(f->pool, home, "release"), "re");
    while (file && fgets(line, sizeof(line), file)) {
        const char *text = line + strlen("JAVA_VERSION=\"");
        if (strncmp(line, "JAVA_VERSION=\"", strlen("JAVA_VERSION=\"")))
            continue;
        text += !strncmp(text, "1.", 2) ? 2 : 0;
        found = strtol(text, NULL, 10) == version;
    }
    if (file)
        fclose(file);
    return found && !access(path_join(f->pool, home, "bin/java"), X_OK);
}

static char *java_of_version(struct fragment *f, long version)
{
    glob_t found;
    char *home = NULL;
    if (!glob("/usr/lib/jvm/*", 0, NULL, &found))
        for (size_t i = 0; i < found.gl_pathc && !home; i++)
            if (is_java(f, found.gl_pathv[i], version))
                home = resolved(f->pool, found.gl_pathv[i]);
    globfree(&found);
    return home;
}

static char *java_home(struct fragment *f)
{
    const char *digits = f->variant + strcspn(f->variant, "0123456789");
    if (*digits)
        return java_of_version(f, strtol(digits, NULL, 10));
    char *named = getenv("JAVA_HOME"), *real;
    if (!f->program && named && !access(path_join(f->pool, named, "bin/java"), X_OK))
        return resolved(f->pool, named);
    if (!(real = resolved(f->pool, interpreter(f, "java"))))
        return NULL;
    return path_dirname(f->pool, path_dirname(f->pool, real));
}

static struct err *java(struct fragment *f)
{
    static const char *const unused[] = {"man", "legal", "docs", "demo", "sample", "include",
                                         "jmods", "src.zip", "lib/src.zip", "lib/ct.sym"};
    char *home = java_home(f);
    if (!home || access(path_join(f->pool, home, "bin/java"), X_OK))
        return lacks(f, pool_printf(f->pool, "Java%s%s", *f->variant ? " " : "", f->variant),
                     "install a JRE or JDK, or set JAVA_HOME");
    add_dir(f, home);
    add_link(f, "/bin", "java", path_join(f->pool, home, "bin/java"));
    for (size_t i = 0; i < sizeof(unused) / sizeof(unused[0]); i++)
        leave_out(f, home, unused[i]);
    return NULL;
}

static struct err *perl(struct fragment *f)
{
    int count = add_matching(f, LIBRARIES "/perl-base", add_dir);
    count += add_matching(f, LIBRARIES "/perl/[0-9]*", add_dir);
    count += add_matching(f, "/usr/share/perl/[0-9]*", add_dir);
    count += add_matching(f, "/usr/share/perl5", add_dir);
    if (!count)
        return lacks(f, "modules of Perl", "install perl");
    char *file = f->program ? NULL : program_in_path(f->pool, "perl");
    if (file)
        add(f, "files", "/bin", file);
    return NULL;
}

/* ---- what the C library and OpenSSL look for ---- */

static struct err *base(struct fragment *f)
{
    f->targets = pool_printf(f->pool, "%s"
        "  - target: /\n"
        "    mkdirs: [bin, sbin, lib, lib64, etc, dev, proc, sys, tmp, root, host, usr, var,\n"
        "             run]\n"
        "  - target: /dev\n"
        "    mkdirs: [shm]\n", f->targets);
    add_file(f, "/etc/hosts");
    add_file(f, "/etc/nsswitch.conf");
    add_file(f, "/etc/localtime");
    return NULL;
}

static struct err *certificates(struct fragment *f)
{
    int count = add_dir(f, "/etc/ssl/certs") + add_file(f, "/etc/pki/tls/certs/ca-bundle.crt");
    if (!count)
        return lacks(f, "certificates of authorities", "install ca-certificates");
    add_file(f, "/etc/ssl/openssl.cnf");
    if (!access("/usr/lib/ssl/certs", X_OK)) {
        add_link(f, "/usr/lib/ssl", "certs", "/etc/ssl/certs");
        add_link(f, "/usr/lib/ssl", "cert.pem", "/etc/ssl/certs/ca-certificates.crt");
        add_link(f, "/usr/lib/ssl", "openssl.cnf", "/etc/ssl/openssl.cnf");
    }
    return NULL;
}

static struct err *timezone_data(struct fragment *f)
{
    if (!add_dir(f, "/usr/share/zoneinfo"))
        return lacks(f, "/usr/share/zoneinfo", "install tzdata");
    leave_out(f, "/usr/share/zoneinfo", "right");
    leave_out(f, "/usr/share/zoneinfo", "posix");
    add_file(f, "/etc/localtime");
    add_file(f, "/etc/timezone");
    return NULL;
}

static struct err *locale_data(struct fragment *f)
{
    if (!add_dir(f, "/usr/lib/locale"))
        return lacks(f, "/usr/lib/locale", "install locales");
    add_file(f, "/usr/share/locale/locale.alias");
    return NULL;
}

static struct err *gconv(struct fragment *f)
{
    if (!add_dir(f, LIBRARIES "/gconv") && !add_dir(f, "/usr/lib64/gconv"))
        return lacks(f, "modules of iconv", "install the C library's (Debian: libc6)");
    return NULL;
}

/* glibc has files and dns built in since 2.34; who was linked before asks for the modules. */
static struct err *nss(struct fragment *f)
{
    static const char *const files[] = {"/etc/nsswitch.conf", "/etc/hosts", "/etc/host.conf",
                                        "/etc/gai.conf", "/etc/networks", "/etc/services",
                                        "/etc/protocols", "/etc/rpc"};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        add_file(f, files[i]);
    add_matching(f, LIBRARIES "/libnss_*.so.2", add_file);
    add_matching(f, "/usr/lib64/libnss_*.so.2", add_file);
    return NULL;
}

/* ---- by name ---- */

static const struct {
    const char *name;
    fragment_fn write;
} fragments[] = {
    {"base", base},     {"java", java},         {"python", python},
    {"perl", perl},     {"nss", nss},           {"certificates", certificates},
    {"gconv", gconv},   {"locale", locale_data}, {"timezone", timezone_data},
};

bool bom_fragment_named(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof(fragments) / sizeof(fragments[0]); i++)
        if (strlen(fragments[i].name) == length && !strncmp(fragments[i].name, name, length))
            return true;
    return false;
}

const char *bom_fragment_names(struct pool *pool)
{
    char *all = pool_printf(pool, "%s", "");
    for (size_t i = 1; i < sizeof(fragments) / sizeof(fragments[0]); i++)
        all = pool_printf(pool, "%s%s%s", all, i > 1 ? ", " : "", fragments[i].name);
    return all;
}

struct err *bom_fragment(struct pool *pool, const char *name, const char *program,
                         const char **out)
{
    size_t word = strcspn(name, "-.");
    struct fragment f = {.pool = pool, .name = name, .program = program, .variant = ""};
    if (name[word] == '-')
        f.variant = pool_copy(pool, name + word + 1, strcspn(name + word + 1, "."));
    f.targets = pool_printf(pool, "targets:\n");
    f.excludes = pool_printf(pool, "excludes:\n");
    for (size_t i = 0; i < sizeof(fragments) / sizeof(fragments[0]); i++) {
        if (strlen(fragments[i].name) != word || strncmp(fragments[i].name, name, word))
            continue;
        struct err *err = fragments[i].write(&f);
        if (!err)
            *out = pool_printf(pool, "%s%s", f.targets, f.excludes);
        return err;
    }
    return err_new("no built-in bom is called %s", name);
}
