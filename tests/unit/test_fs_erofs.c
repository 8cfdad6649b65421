/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EROFS under a hash tree, as mkfs.erofs and veritysetup make them: every file reads as it was
 * put in; after any change to data or hashes, what is reached through it gives EIO and a
 * message that says where, and the rest still reads.
 *
 * LINK: tests/unit/fs_fake.c kernel/fs/core/*.c kernel/fs/ramfs/*.c kernel/fs/erofs/[evt]*.c
 * LINK: kernel/lib/r*.c kernel/mm/iter.c kernel/sched/wait.c
 * LIBS: -lcrypto
 */
#include "crypto/sha256.h"
#include "enclave/config.h"
#include "enclave/host.h"
#include "fs/erofs/erofs.h"
#include "fs_fake.h"
#include "unit.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint8_t *image;
static size_t image_size, data_size;
static struct config_mount config;
static char folder[64] = "/tmp/test_fs_erofs.XXXXXX";

/* tests/cli/encrypted_image.sh has these images. */
int crypt_open(const char *options, struct block_source *below, struct block_source **out)
{
    (void)options;
    (void)below;
    (void)out;
    return -EINVAL;
}

const struct config_record *config_next(const struct config_record *previous)
{
    (void)previous;
    return NULL;
}

uint64_t host_image_size(unsigned index)
{
    return index == 0 ? image_size : 0;
}

int host_image_read(unsigned index, uint64_t offset, void *buffer, size_t size)
{
    if (index != 0 || offset > image_size || size > image_size - offset)
        return -EIO;
    memcpy(buffer, image + offset, size);
    return 0;
}

void host_image_was_read(unsigned index, size_t size)
{
    (void)index;
    (void)size;
}

void sha256(const void *data, size_t size, uint8_t out[32])
{
    SHA256(data, size, out);
}

void sha256_many(const void *const blocks[], size_t size, size_t count, uint8_t (*out)[32])
{
    for (size_t i = 0; i < count; i++)
        SHA256(blocks[i], size, out[i]);
}

static void run(const char *command)
{
    char line[600];
    snprintf(line, sizeof(line), "cd %s && ( %s ) >log 2>&1", folder, command);
    if (system(line) != 0) {
        fprintf(stderr, "failed: %s\n", command);
        exit(1);
    }
}

static void build_image(void)
{
    char line[200] = {0}, *hash = NULL;
    run("mkdir -p src/dir/deep src/many && printf 'small file' >src/small && ln -s dir/big "
        "src/link"
        " && seq 1 120000 >src/dir/big && head -c 8192 src/dir/big >src/two && : >src/empty"
        " && for i in $(seq 1 700); do echo $i >src/many/name-$i; done && chmod 4711 "
        "src/small");
    run("mkfs.erofs -T1000 data src && cp data both && truncate -s %4096 both");
    run("veritysetup format --no-superblock --salt=- --hash-offset=$(stat -c %s both)"
        " --data-blocks=$(($(stat -c %s both) / 4096)) both both >hash.txt");
    char path[100];
    snprintf(path, sizeof(path), "%s/hash.txt", folder);
    FILE *f = fopen(path, "r");
    CHECK(f);
    while (fgets(line, sizeof(line), f)) {
        if (strncmp(line, "Root hash:", 10) == 0)
            hash = strrchr(line, '\t') ? strrchr(line, '\t') + 1 : line + 10;
        if (hash)
            break;
    }
    fclose(f);
    CHECK(hash);
    while (*hash == ' ' || *hash == '\t')
        hash++;
    for (int i = 0; i < 32; i++)
        CHECK_EQ(sscanf(hash + 2 * i, "%2hhx", &config.root_hash[i]), 1);
}

static void load_image(void)
{
    char path[100];
    snprintf(path, sizeof(path), "%s/both", folder);
    FILE *f = fopen(path, "rb");
    CHECK(f);
    fseek(f, 0, SEEK_END);
    image_size = (size_t)ftell(f);
    rewind(f);
    image = malloc(image_size);
    CHECK_EQ(fread(image, 1, image_size, f), image_size);
    fclose(f);
    snprintf(path, sizeof(path), "%s/data", folder);
    f = fopen(path, "rb");
    fseek(f, 0, SEEK_END);
    data_size = ((size_t)ftell(f) + 4095) / 4096 * 4096;
    fclose(f);
    config.fs = CONFIG_FS_EROFS;
    config.data_blocks = data_size / 4096;
    config.hash_offset = data_size;
}

static int mount_image(void)
{
    struct super *sb;
    struct path at;
    int r = fs_type_find("erofs")->mount(&config, "", "", &sb);
    if (r < 0)
        return r;
    CHECK_EQ(path_walk(AT_FDCWD, "/img", 0, &at), 0);
    struct dentry *root = dentry_new_root(inode_get(sb->root), "/");
    CHECK_EQ(mount_attach(sb, root, &at, MS_RDONLY, "image"), 0);
    dentry_put(root);
    super_put(sb);
    path_put(&at);
    return 0;
}

static void unmount_image(void)
{
    struct path at;
    CHECK_EQ(path_walk(AT_FDCWD, "/img", 0, &at), 0);
    CHECK_EQ(mount_detach(&at, true), 0);
    path_put(&at);
    dentry_shrink(1u << 20);
}

/* The same bytes as in the folder it was made from; or the error. */
static int compare(const char *name)
{
    char path[200];
    static char want[1 << 20], got[1 << 20];
    snprintf(path, sizeof(path), "%s/src/%s", folder, name);
    FILE *f = fopen(path, "rb");
    CHECK(f);
    size_t n = fread(want, 1, sizeof(want), f);
    fclose(f);
    snprintf(path, sizeof(path), "/img/%s", name);
    int fd = fake_open(path, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    ssize_t r = 0, done = 0;
    while ((r = fake_read(fd, got + done, sizeof(got) - (size_t)done)) > 0)
        done += r;
    CHECK_EQ(fd_close(fd), 0);
    if (r < 0)
        return (int)r;
    return (size_t)done == n && memcmp(want, got, n) == 0 ? 0 : 1;
}

static bool count_one(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
                      uint32_t dt_type, uint64_t next)
{
    (void)sink;
    (void)name;
    (void)len;
    (void)ino;
    (void)next;
    static unsigned shown;
    CHECK(dt_type == DT_REG || dt_type == DT_DIR);
    fake_signal++;
    return ++shown % 3 != 0; /* full now and then: the entry must come again */
}

static void test_reading(void)
{
    static const char *const names[] = {"small",         "link",         "dir/big",
                                        "two",           "empty",        "many/name-1",
                                        "many/name-350", "many/name-700"};
    CHECK_EQ(mount_image(), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        CHECK_EQ(compare(names[i]), 0);
    CHECK_EQ(fake_open("/img/many/name-701", O_RDONLY, 0), -ENOENT);
    CHECK_EQ(fake_open("/img/many/new", O_CREAT | O_WRONLY, 0644), -EROFS);
    CHECK_EQ(fake_open("/img/small", O_WRONLY, 0), -EROFS);
    struct path p;
    struct abi_stat st;
    CHECK_EQ(path_walk(AT_FDCWD, "/img/small", 0, &p), 0);
    CHECK_EQ(inode_stat(path_inode(&p), &st), 0);
    CHECK_EQ(st.st_mode, S_IFREG | 04711);
    CHECK_EQ(st.st_size, 10);
    CHECK_EQ(st.st_mtim.tv_sec, 1000);
    path_put(&p);
    struct file *f;
    CHECK_EQ(file_open(AT_FDCWD, "/img/many", O_RDONLY, 0, 0, &f), 0);
    struct dir_sink sink = {count_one};
    fake_signal = 0;
    unsigned refused = 0;
    uint64_t before;
    do {
        before = f->pos;
        CHECK_EQ(file_readdir(f, &sink), 0);
        refused++;
    } while (f->pos != before);
    file_put(f);
    CHECK(fake_signal >= 702);
    unmount_image();
}

/* Flips one byte, mounts, and looks. */
static int damaged(size_t offset, const char *name)
{
    image[offset] ^= 0x40;
    fake_log_lines = 0;
    int r = mount_image();
    if (r == 0) {
        r = compare(name);
        unmount_image();
    }
    image[offset] ^= 0x40;
    return r;
}

static size_t find_bytes(const char *text)
{
    char *at = memmem(image, data_size, text, strlen(text));
    CHECK(at);
    return (size_t)((uint8_t *)at - image);
}

static void test_damage(void)
{
    size_t small = find_bytes("small file"), big = find_bytes("50000\n50001\n");
    CHECK_EQ(damaged(small, "small"), -EIO);
    CHECK(fake_log_lines > 0 && strstr(fake_log_last, "image 0"));
    CHECK_EQ(damaged(big, "dir/big"), -EIO);
    char where[40];
    snprintf(where, sizeof(where), "offset %zu", big / 4096 * 4096);
    CHECK(strstr(fake_log_last, where) != NULL);
    CHECK_EQ(damaged(big, "two"), 0); /* elsewhere all is well */
    for (size_t at = data_size; at < image_size; at += 4096) {
        int r = damaged(at + 5, "dir/big");
        CHECK(r == -EIO || (at > data_size && r == 0)); /* the top covers everything */
    }
    CHECK_EQ(damaged(data_size, "small"), -EIO);
    config.root_hash[31] ^= 1;
    CHECK_EQ(mount_image(), -EIO);
    config.root_hash[31] ^= 1;
    image_size -= 4096; /* the host holds some back */
    CHECK_EQ(mount_image(), -EIO);
    image_size += 4096;
    config.data_blocks = 0;
    CHECK_EQ(mount_image(), -EINVAL);
    config.data_blocks = data_size / 4096;
}

int main(void)
{
    if (system("command -v mkfs.erofs veritysetup >/dev/null 2>&1") != 0)
        SKIP("mkfs.erofs and veritysetup are not installed");
    CHECK(mkdtemp(folder));
    build_image();
    load_image();
    fake_kernel_init();
    erofs_register();
    fake_mount_root();
    CHECK_EQ(path_create(AT_FDCWD, "/img", S_IFDIR | 0755, 0, NULL), 0);
    dentry_shrink(1u << 20);
    long before = fake_live;
    test_reading();
    test_damage();
    CHECK_EQ(fake_live, before);
    CHECK_EQ(fake_held, 0);
    char line[100];
    snprintf(line, sizeof(line), "rm -rf %s", folder);
    CHECK_EQ(system(line), 0);
    free(image);
    return 0;
}
