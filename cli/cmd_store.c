/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * occlum gen-image-key: a new key. occlum fsck: checks a store. occlum store: looks into one,
 * copies out of it and into it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/root_store.h"
#include "image/sefs/tools.h"

/* ---- keys ---- */

static struct err *gen_key_main(int argc, char **argv, int *status)
{
    unsigned bytes = 16;
    uint8_t key[STORE_KEY_MAX];
    char text[3 * STORE_KEY_MAX + 1];

    if (argc == 3 && !strcmp(argv[1], "--256")) {
        bytes = 32;
        argv++;
    } else if (argc != 2 || argv[1][0] == '-') {
        return usage_error(&cmd_gen_key, "the file to write is wanted");
    }
    if (getrandom(key, bytes, 0) != (ssize_t)bytes)
        return err_sys(errno, "no random numbers");
    for (unsigned i = 0; i < bytes; i++)
        snprintf(text + 3 * i, 4, "%02x%s", key[i], i + 1 < bytes ? "-" : "\n");
    size_t size = strlen(text);
    int fd = open(argv[1], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(errno, "%s: cannot be created", argv[1]);
    int bad = write(fd, text, size) != (ssize_t)size;
    bad |= close(fd);
    explicit_bzero(key, sizeof(key));
    explicit_bzero(text, sizeof(text));
    *status = 0;
    return bad ? err_sys(errno, "%s: cannot be written", argv[1]) : NULL;
}

struct err *image_key_read(const char *path, uint8_t *key, size_t *size)
{
    char text[128] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    int e = errno;

    if (fd >= 0)
        close(fd);
    if (n < 0)
        return err_sys(e, "%s: cannot be read", path);
    int r = store_key_parse(text, key);
    explicit_bzero(text, sizeof(text));
    if (r < 0)
        return err_hint(err_new("%s: not a key: 16 or 32 bytes as xx-xx-... are wanted", path),
                        "make one with `occlum gen-image-key FILE`");
    *size = (size_t)r;
    return NULL;
}

/* ---- opening ---- */

static struct err *store_error(int r, const char *path)
{
    switch (r) {
    case -EBADMSG:
        return err_new("%s: another key is needed, or its first block is damaged", path);
    case -EINVAL:
        return err_new("%s: is no store", path);
    case -EBUSY:
        return err_hint(err_new("%s: is in use", path), "stop the instance first");
    default:
        return err_sys(-r, "%s", path);
    }
}

static struct err *open_store(const char *path, const char *key_file, bool write,
                              struct store_tool **out)
{
    uint8_t key[STORE_KEY_MAX];
    uint32_t kind;
    size_t size;
    int r = store_tool_key_kind(path, &kind);

    if (r < 0)
        return store_error(r, path);
    if (kind != 0)
        return err_hint(err_new("%s: its key is sealed to the enclave that made it", path),
                        "only that enclave can open it");
    if (!key_file)
        return err_new("%s: --image-key FILE is needed", path);
    struct err *err = image_key_read(key_file, key, &size);
    if (err)
        return err;
    r = store_tool_open(path, key, size, write, out);
    explicit_bzero(key, sizeof(key));
    return r < 0 ? store_error(r, path) : NULL;
}

/* [--image-key FILE] in front of the rest; argv then begins with the rest. */
static const char *take_key(int *argc, char ***argv)
{
    const char *key = NULL;

    if (*argc >= 3 && !strcmp((*argv)[1], "--image-key")) {
        key = (*argv)[2];
        *argc -= 2;
        *argv += 2;
    }
    return key;
}

/* ---- fsck ---- */

static void print_problem(const char *text)
{
    printf("%s\n", text);
}

static void add_blocks(uint64_t blocks)
{
    progress_add(blocks * 4096);
}

static struct err *fsck_main(int argc, char **argv, int *status)
{
    const char *key = take_key(&argc, &argv);
    struct store_tool_report report = {.line = print_problem, .progress = add_blocks};
    struct store_tool *t;

    if (argc != 2)
        return usage_error(&cmd_fsck, "one store's file is wanted");
    struct err *err = open_store(argv[1], key, false, &t);
    if (err)
        return err;
    progress_begin("checking", 0);
    int r = store_tool_check(t, &report);
    progress_end();
    (void)!store_tool_close(t);
    if (r < 0)
        return err_sys(-r, "%s: cannot be checked", argv[1]);
    printf("%s: %llu inodes, %llu blocks, %llu problems\n", argv[1],
           (unsigned long long)report.inodes, (unsigned long long)report.blocks,
           (unsigned long long)report.problems);
    *status = report.problems ? STATUS_FAILED : 0;
    return NULL;
}

/* ---- mount ---- */

static bool mounts_writable;

static void say_mounted(void)
{
    printf("mounted, %s; ends when it is unmounted, or with Ctrl-C\n",
           mounts_writable ? "writable" : "read-only");
    fflush(stdout);
}

static struct err *mount_main(int argc, char **argv, int *status)
{
    const char *key = take_key(&argc, &argv);
    struct store_tool *t = NULL;
    char *own = NULL;
    struct err *err = NULL;

    if (argc > 1 && !strcmp(argv[1], "--rw")) {
        mounts_writable = true;
        argc--;
        argv++;
    }
    if (argc != 2 && argc != 3)
        return usage_error(&cmd_mount, "a directory to mount on is wanted");
    if (argc == 2) {
        err = instance_check_built();
        if (!err)
            err = root_store_built(&own);
        if (!err && !own)
            err = err_new("what is written to this instance's root is not kept in a store");
    }
    if (!err)
        err = open_store(argc == 2 ? own : argv[1], key, mounts_writable, &t);
    if (!err) {
        int r = store_tool_serve(t, argv[argc - 1], say_mounted), e = store_tool_close(t);

        if (r < 0)
            err = err_sys(-r, "%s: cannot be mounted", argv[argc - 1]);
        else if (e < 0)
            err = err_sys(-e, "what was changed last could not be written");
    }
    free(own);
    *status = 0;
    return err;
}

/* ---- looking, copying ---- */

static int run_verb(struct store_tool *t, int argc, char **argv)
{
    const char *path = argc > 3 ? argv[3] : "/";

    if (!strcmp(argv[1], "ls"))
        return store_tool_list(t, path, stdout);
    if (!strcmp(argv[1], "cat"))
        return store_tool_cat(t, path, stdout);
    if (!strcmp(argv[1], "export"))
        return store_tool_export(t, path, argv[4]);
    return store_tool_import(t, path, argc > 4 ? argv[4] : "/");
}

static struct err *make_store(const char *path, const char *key_file)
{
    uint8_t key[STORE_KEY_MAX];
    size_t size;

    if (!key_file)
        return err_new("%s: --image-key FILE is needed", path);
    struct err *err = image_key_read(key_file, key, &size);
    if (err)
        return err;
    int r = store_tool_format(path, key, size);
    explicit_bzero(key, sizeof(key));
    return r < 0 ? store_error(r, path) : NULL;
}

static struct err *store_main(int argc, char **argv, int *status)
{
    static const struct {
        const char *name;
        int least, most;
    } verbs[] = {
        {"ls", 3, 4}, {"cat", 4, 4}, {"export", 5, 5}, {"import", 4, 5}, {"new", 3, 3}};
    const char *key = take_key(&argc, &argv);
    struct store_tool *t;
    size_t v = 0;

    while (argc > 1 && v < 5 && strcmp(argv[1], verbs[v].name))
        v++;
    if (argc < 3 || v == 5 || argc < verbs[v].least || argc > verbs[v].most)
        return usage_error(&cmd_store, "ls, cat, export, import or new, and a file are wanted");
    *status = 0;
    if (!strcmp(argv[1], "new"))
        return make_store(argv[2], key);
    struct err *err = open_store(argv[2], key, !strcmp(argv[1], "import"), &t);
    if (err)
        return err;
    int r = run_verb(t, argc, argv);
    int e = store_tool_close(t);
    r = r < 0 ? r : e;
    if (r < 0)
        return err_sys(-r, "%s: %s %s", argv[2], argv[1], argc > 3 ? argv[3] : "/");
    return fflush(stdout) ? err_sys(errno, "standard output") : NULL;
}

const struct command cmd_gen_key = {
    .name = "gen-image-key",
    .arguments = "[--256] FILE",
    .summary = "make a key for encrypted images and stores",
    .help = "Writes 16 random bytes, or 32 with --256, as xx-xx-... into a new file.\n",
    .failure = STATUS_FAILED,
    .run = gen_key_main,
};

const struct command cmd_fsck = {
    .name = "fsck",
    .arguments = "[--image-key FILE] STORE",
    .summary = "check an encrypted store, every block of it",
    .help = "Prints what is wrong and where. Status 1: something is.\n",
    .failure = 8,
    .run = fsck_main,
};

const struct command cmd_mount = {
    .name = "mount",
    .arguments = "[--image-key FILE] [--rw] [STORE] DIR",
    .summary = "show an encrypted store as a file system of this machine",
    .help =
        "With --rw it can be written; fsync makes durable, and so do five quiet seconds.\n"
        "Without STORE it is the one that keeps what was written to the instance's root:\n"
        "below upper/ lies what differs from the image, as overlayfs has it. Its key must be\n"
        "the image key; stores that are sealed open in their enclave only. The image itself\n"
        "needs no help: mount -t erofs -o loop,ro build/rootfs.img DIR.\n",
    .failure = STATUS_FAILED,
    .run = mount_main,
};

const struct command cmd_store = {
    .name = "store",
    .arguments = "[--image-key FILE] ls|cat|export|import|new STORE [PATHS...]",
    .summary = "look into an encrypted store, copy from it and into it",
    .help = "  ls STORE [PATH]        list a directory\n"
            "  cat STORE PATH         write a file to standard output\n"
            "  export STORE PATH DIR  copy a tree out\n"
            "  import STORE DIR [PATH]  copy a tree in\n"
            "  new STORE              make an empty store\n",
    .failure = STATUS_FAILED,
    .run = store_main,
};
