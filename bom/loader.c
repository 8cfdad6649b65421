/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads ld.so.cache, ld.so.conf and ld-musl-x86_64.path. Of libraries that exist for several
 * processor levels the one for any processor is taken: an image may run on another machine.
 * Not here: caches older than glibc 2.2's "glibc-ld.so.cache1.1".
 */
#include "bom/loader.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_MAGIC     "glibc-ld.so.cache1.1"
#define OLD_CACHE_MAGIC "ld.so-1.7.0"
#define FLAGS_X86_64    0x0303  /* ELF, libc6, x86-64 */
#define INCLUDE_DEPTH   8

struct cache_header {
    char magic[20];
    uint32_t count;
    uint32_t strings_size;
    uint32_t unused[5];
};

struct cache_entry {
    int32_t flags;
    uint32_t name, path;    /* from the header's start */
    uint32_t os_version;
    uint64_t hwcap;
};

struct old_cache_header {
    char magic[12];
    uint32_t count;
};

#define OLD_ENTRY_SIZE 12

static char *cache_string(struct pool *pool, const uint8_t *data, size_t size, uint32_t at)
{
    const uint8_t *end = at < size ? memchr(data + at, 0, size - at) : NULL;
    return end ? pool_copy(pool, (const char *)data + at, (size_t)(end - data) - at) : NULL;
}

/* The new format may stand behind the old one, aligned to eight bytes. */
static size_t cache_start(const uint8_t *data, size_t size)
{
    struct old_cache_header old;
    if (size < sizeof(old) || memcmp(data, OLD_CACHE_MAGIC, sizeof(OLD_CACHE_MAGIC) - 1))
        return 0;
    memcpy(&old, data, sizeof(old));
    uint64_t end = sizeof(old) + (uint64_t)old.count * OLD_ENTRY_SIZE;
    end = (end + 7) & ~(uint64_t)7;
    return end < size ? (size_t)end : 0;
}

bool loader_parse_cache(struct pool *pool, struct loader *loader, const uint8_t *data,
                        size_t size)
{
    struct cache_header header;
    size_t start = cache_start(data, size), kept = 0;
    data += start;
    size -= start;
    if (size < sizeof(header) || memcmp(data, CACHE_MAGIC, sizeof(header.magic)))
        return false;
    memcpy(&header, data, sizeof(header));
    if (header.count > (size - sizeof(header)) / sizeof(struct cache_entry))
        return false;
    struct loader_cache_entry *list = pool_alloc(pool, header.count * sizeof(*list) + 1);
    for (uint32_t i = 0; i < header.count; i++) {
        struct cache_entry entry;
        memcpy(&entry, data + sizeof(header) + i * sizeof(entry), sizeof(entry));
        if (entry.flags != FLAGS_X86_64 || entry.hwcap)
            continue;
        list[kept].name = cache_string(pool, data, size, entry.name);
        list[kept].path = cache_string(pool, data, size, entry.path);
        if (!list[kept].name || !list[kept].path)
            return false;
        kept += list[kept].path[0] == '/';
    }
    loader->cache = list;
    loader->cache_count = kept;
    return true;
}

const char *loader_cached(const struct loader *loader, const char *name)
{
    for (size_t i = 0; i < loader->cache_count; i++)
        if (!strcmp(loader->cache[i].name, name))
            return loader->cache[i].path;
    return NULL;
}

static void add_dir(struct pool *pool, char ***dirs, size_t *count, const char *dir)
{
    *dirs = pool_more(pool, *dirs, *count, sizeof(char *));
    (*dirs)[(*count)++] = pool_copy(pool, dir, strlen(dir));
}

static char *read_whole(struct pool *pool, const char *path, size_t *size)
{
    FILE *file = fopen(path, "re");
    long length = -1;
    if (file && !fseek(file, 0, SEEK_END))
        length = ftell(file);
    if (length < 0 || length > 64 << 20) {
        if (file)
            fclose(file);
        return NULL;
    }
    rewind(file);
    char *text = pool_alloc(pool, (size_t)length + 1);
    *size = fread(text, 1, (size_t)length, file);
    fclose(file);
    return text;
}

static void read_conf(struct pool *pool, struct loader *loader, const char *path, int depth)
{
    size_t size;
    char *text = read_whole(pool, path, &size), *save = NULL;
    if (!text)
        return;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        line[strcspn(line, "#")] = 0;
        char *words = NULL, *word = strtok_r(line, " \t:,", &words);
        if (word && !strcmp(word, "include") && depth < INCLUDE_DEPTH) {
            glob_t found;
            word = strtok_r(NULL, " \t", &words);
            if (word && !glob(word, 0, NULL, &found)) {
                for (size_t i = 0; i < found.gl_pathc; i++)
                    read_conf(pool, loader, found.gl_pathv[i], depth + 1);
                globfree(&found);
            }
            continue;
        }
        for (; word && word[0] == '/'; word = strtok_r(NULL, " \t:,", &words))
            add_dir(pool, &loader->config_dirs, &loader->config_count, word);
    }
}

static void open_glibc(struct pool *pool, struct loader *loader, const char *prefix)
{
    static const char *const dirs[] = {"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu",
                                       "/lib64", "/usr/lib64", "/lib", "/usr/lib"};
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
        add_dir(pool, &loader->default_dirs, &loader->default_count, dirs[i]);
    loader->config_file = "/etc/ld.so.cache";
    size_t size;
    char *path = pool_printf(pool, "%s/etc/ld.so.cache", prefix);
    char *data = read_whole(pool, path, &size);
    if (!data || !loader_parse_cache(pool, loader, (uint8_t *)data, size))
        read_conf(pool, loader, pool_printf(pool, "%s/etc/ld.so.conf", prefix), 0);
}

static void open_musl(struct pool *pool, struct loader *loader, const char *prefix)
{
    static const char *const dirs[] = {"/lib", "/usr/local/lib", "/usr/lib"};
    size_t size;
    loader->config_file = "/etc/ld-musl-x86_64.path";
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
        add_dir(pool, &loader->default_dirs, &loader->default_count, dirs[i]);
    char *path = pool_printf(pool, "%s%s", prefix, loader->config_file);
    char *text = read_whole(pool, path, &size);
    char *save = NULL, *dir = text ? strtok_r(text, ":\n", &save) : NULL;
    for (; dir; dir = strtok_r(NULL, ":\n", &save))
        add_dir(pool, &loader->config_dirs, &loader->config_count, dir);
}

struct loader *loader_open(struct pool *pool, const char *interp, const char *prefix)
{
    struct loader *loader = pool_alloc(pool, sizeof(*loader));
    loader->name = path_basename(interp);
    loader->musl = !strncmp(loader->name, "ld-musl", 7);
    if (loader->musl)
        open_musl(pool, loader, prefix);
    else
        open_glibc(pool, loader, prefix);
    return loader;
}
