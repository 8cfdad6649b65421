/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * YAML to struct bom. Strict: an unknown or repeated key, a wrong kind of value and an empty
 * string are refused with the line and what would be right.
 */
#include "bom/bom.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

struct parser {
    struct pool *pool;
    const char *path;
    yaml_document_t *doc;
};

typedef struct err *(*value_fn)(struct parser *p, yaml_node_t *value, void *out);

struct key {
    const char *name;
    value_fn read;
    size_t offset;          /* into the structure that the mapping fills */
    bool required;
};

static int line_of(const yaml_node_t *node)
{
    return (int)node->start_mark.line + 1;
}

static struct err *bad(struct parser *p, int line, const char *what)
{
    return err_with_status(err_new("%s:%d: %s", p->path, line, what), BOM_BAD_FILE);
}

static yaml_node_t *node_of(struct parser *p, int index)
{
    return yaml_document_get_node(p->doc, index);
}

static const char *scalar(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

/* ---- values ---- */

static struct err *read_text(struct parser *p, yaml_node_t *value, void *out)
{
    struct bom_text *text = out;
    text->line = line_of(value);
    if (value->type != YAML_SCALAR_NODE)
        return bad(p, text->line, "a single string belongs here");
    if (strlen(scalar(value)) != value->data.scalar.length)
        return bad(p, text->line, "the string holds a zero byte");
    const char *where = pool_printf(p->pool, "%s:%d", p->path, text->line);
    struct err *err = bom_expand(p->pool, where, scalar(value), &text->text);
    if (!err && !text->text[0])
        return bad(p, text->line, "the string is empty");
    return err;
}

static struct err *read_string(struct parser *p, yaml_node_t *value, void *out)
{
    struct bom_text text;
    struct err *err = read_text(p, value, &text);
    if (!err)
        *(char **)out = text.text;
    return err;
}

static struct err *read_hash(struct parser *p, yaml_node_t *value, void *out)
{
    char *text = NULL;
    struct err *err = read_string(p, value, &text);
    if (err)
        return err;
    if (strlen(text) != 64 || strspn(text, "0123456789abcdefABCDEF") != 64)
        return bad(p, line_of(value), "a hash is the SHA-256 in 64 hexadecimal digits");
    *(char **)out = text;
    return NULL;
}

/* A list, empty if nothing stands behind the key. */
static struct err *check_list(struct parser *p, yaml_node_t *value, size_t *count)
{
    *count = 0;
    if (value->type == YAML_SCALAR_NODE && !value->data.scalar.length)
        return NULL;
    if (value->type != YAML_SEQUENCE_NODE)
        return bad(p, line_of(value), "a list belongs here");
    *count = (size_t)(value->data.sequence.items.top - value->data.sequence.items.start);
    return NULL;
}

static yaml_node_t *list_item(struct parser *p, yaml_node_t *list, size_t i)
{
    return node_of(p, list->data.sequence.items.start[i]);
}

static struct err *read_texts(struct parser *p, yaml_node_t *value, void *out)
{
    struct bom_texts *texts = out;
    struct err *err = check_list(p, value, &texts->count);
    if (err)
        return err;
    texts->items = pool_alloc(p->pool, texts->count * sizeof(*texts->items));
    for (size_t i = 0; i < texts->count && !err; i++)
        err = read_text(p, list_item(p, value, i), &texts->items[i]);
    return err;
}

/* true, false, or the names of built-in boms: one, or a list. */
static struct err *read_autodep(struct parser *p, yaml_node_t *value, void *out)
{
    struct bom_file *file = out;
    const char *text = value->type == YAML_SCALAR_NODE ? scalar(value) : "";
    file->autodep = strcmp(text, "false") != 0;
    if (!file->autodep || !strcmp(text, "true"))
        return NULL;
    if (value->type != YAML_SCALAR_NODE)
        return read_texts(p, value, &file->helpers);
    file->helpers.items = pool_alloc(p->pool, sizeof(*file->helpers.items));
    file->helpers.count = 1;
    return read_text(p, value, file->helpers.items);
}

/* ---- mappings ---- */

static struct err *unknown_key(struct parser *p, yaml_node_t *key, const struct key *keys)
{
    char known[256] = "";
    for (const struct key *k = keys; k->name; k++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "", k->name);
    }
    const char *name = key->type == YAML_SCALAR_NODE ? scalar(key) : "(not a string)";
    struct err *err = err_new("%s:%d: unknown key \"%.80s\"", p->path, line_of(key), name);
    return err_with_status(err_hint(err, "known here: %s", known), BOM_BAD_FILE);
}

static struct err *read_mapping(struct parser *p, yaml_node_t *node, const struct key *keys,
                                void *out)
{
    unsigned seen = 0;
    if (node->type != YAML_MAPPING_NODE)
        return bad(p, line_of(node), "a mapping (key: value) belongs here");
    yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        yaml_node_t *key = node_of(p, pair->key);
        const struct key *k = keys;
        while (k->name && !(key->type == YAML_SCALAR_NODE && !strcmp(k->name, scalar(key))))
            k++;
        if (!k->name)
            return unknown_key(p, key, keys);
        if (seen & 1u << (k - keys))
            return bad(p, line_of(key), "the key stands here a second time");
        seen |= 1u << (k - keys);
        struct err *err = k->read(p, node_of(p, pair->value), (char *)out + k->offset);
        if (err)
            return err;
    }
    for (const struct key *k = keys; k->name; k++)
        if (k->required && !(seen & 1u << (k - keys)))
            return err_with_status(err_new("%s:%d: the key \"%s\" is missing", p->path,
                                           line_of(node), k->name), BOM_BAD_FILE);
    return NULL;
}

static const struct key file_keys[] = {
    {"name", read_text, offsetof(struct bom_file, name), true},
    {"hash", read_hash, offsetof(struct bom_file, hash), false},
    {"autodep", read_autodep, 0, false},
    {"rename", read_string, offsetof(struct bom_file, rename), false},
    {NULL, NULL, 0, false},
};

static struct err *read_files(struct parser *p, yaml_node_t *value, void *out)
{
    struct bom_copy *copy = out;
    struct err *err = check_list(p, value, &copy->file_count);
    if (err)
        return err;
    copy->files = pool_alloc(p->pool, copy->file_count * sizeof(*copy->files));
    for (size_t i = 0; i < copy->file_count && !err; i++) {
        yaml_node_t *item = list_item(p, value, i);
        copy->files[i].autodep = true;
        if (item->type == YAML_SCALAR_NODE)
            err = read_text(p, item, &copy->files[i].name);
        else
            err = read_mapping(p, item, file_keys, &copy->files[i]);
        const char *rename = copy->files[i].rename;
        if (!err && rename && (strchr(rename, '/') || rename[0] == '.'))
            err = bad(p, line_of(item), "rename takes a plain name, without a folder");
    }
    return err;
}

static const struct key copy_keys[] = {
    {"from", read_text, offsetof(struct bom_copy, from), false},
    {"dirs", read_texts, offsetof(struct bom_copy, dirs), false},
    {"files", read_files, 0, false},
    {NULL, NULL, 0, false},
};

static struct err *read_copies(struct parser *p, yaml_node_t *value, void *out)
{
    struct bom_target *target = out;
    struct err *err = check_list(p, value, &target->copy_count);
    if (err)
        return err;
    target->copies = pool_alloc(p->pool, target->copy_count * sizeof(*target->copies));
    for (size_t i = 0; i < target->copy_count && !err; i++) {
        yaml_node_t *item = list_item(p, value, i);
        struct bom_copy *copy = &target->copies[i];
        err = read_mapping(p, item, copy_keys, copy);
        if (!err && !copy->from.text && !copy->dirs.count && !copy->file_count)
            err = bad(p, line_of(item), "nothing to copy: give from, dirs or files");
    }
    return err;
}

static const struct key link_keys[] = {
    {"src", read_text, offsetof(struct bom_link, src), true},
    {"linkname", read_text, offsetof(struct bom_link, linkname), true},
    {NULL, NULL, 0, false},
};

static struct err *read_links(struct parser *p, yaml_node_t *value, void *out)
{
    struct bom_target *target = out;
    struct err *err = check_list(p, value, &target->link_count);
    if (err)
        return err;
    target->links = pool_alloc(p->pool, target->link_count * sizeof(*target->links));
    for (size_t i = 0; i < target->link_count && !err; i++)
        err = read_mapping(p, list_item(p, value, i), link_keys, &target->links[i]);
    return err;
}

static const struct key target_keys[] = {
    {"target", read_text, offsetof(struct bom_target, target), true},
    {"mkdirs", read_texts, offsetof(struct bom_target, mkdirs), false},
    {"createlinks", read_links, 0, false},
    {"copy", read_copies, 0, false},
    {NULL, NULL, 0, false},
};

static struct err *read_targets(struct parser *p, yaml_node_t *value, void *out)
{
    struct bom *bom = out;
    struct err *err = check_list(p, value, &bom->target_count);
    if (err)
        return err;
    bom->targets = pool_alloc(p->pool, bom->target_count * sizeof(*bom->targets));
    for (size_t i = 0; i < bom->target_count && !err; i++) {
        struct bom_target *target = &bom->targets[i];
        err = read_mapping(p, list_item(p, value, i), target_keys, target);
        if (!err && target->target.text[0] != '/')
            err = bad(p, target->target.line, "a target is an absolute path inside the root");
    }
    return err;
}

static const struct key bom_keys[] = {
    {"includes", read_texts, offsetof(struct bom, includes), false},
    {"excludes", read_texts, offsetof(struct bom, excludes), false},
    {"targets", read_targets, 0, false},
    {NULL, NULL, 0, false},
};

/* ---- the file ---- */

static struct err *syntax(const char *path, const yaml_parser_t *yaml)
{
    const char *problem = yaml->problem ? yaml->problem : "not YAML";
    size_t line = yaml->problem_mark.line + 1;
    if (yaml->error == YAML_READER_ERROR)
        return err_with_status(err_new("%s: %s", path, problem), BOM_BAD_FILE);
    return err_with_status(err_new("%s:%zu: %s", path, line, problem), BOM_BAD_FILE);
}

static struct err *parse_document(struct pool *pool, const char *path, yaml_parser_t *yaml,
                                  struct bom *bom)
{
    yaml_document_t doc, second;
    if (!yaml_parser_load(yaml, &doc))
        return syntax(path, yaml);
    struct parser p = {pool, path, &doc};
    yaml_node_t *top = yaml_document_get_root_node(&doc);
    struct err *err = top ? read_mapping(&p, top, bom_keys, bom) : bad(&p, 1, "an empty file");
    yaml_document_delete(&doc);
    if (err)
        return err;
    if (!yaml_parser_load(yaml, &second))
        return syntax(path, yaml);
    top = yaml_document_get_root_node(&second);
    if (top)
        err = bad(&p, line_of(top), "a second document; a bom is one");
    yaml_document_delete(&second);
    return err;
}

struct err *bom_parse(struct pool *pool, const char *path, const char *text, size_t size,
                      struct bom **out)
{
    yaml_parser_t yaml;
    struct bom *bom = pool_alloc(pool, sizeof(*bom));
    bom->path = path;
    if (!yaml_parser_initialize(&yaml))
        return err_new("out of memory");
    yaml_parser_set_input_string(&yaml, (const unsigned char *)text, size);
    struct err *err = parse_document(pool, path, &yaml, bom);
    yaml_parser_delete(&yaml);
    if (!err)
        *out = bom;
    return err;
}

struct err *bom_load(struct pool *pool, const char *path, struct bom **out)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return err_with_status(err_sys(errno, "%s", path), BOM_NO_FILE);
    size_t size = 0;
    char *text = NULL;
    for (;;) {
        char *larger = pool_alloc(pool, size + 65536);
        if (size)
            memcpy(larger, text, size);
        text = larger;
        size_t got = fread(text + size, 1, 65536, file);
        size += got;
        if (!got || size > 4u << 20)
            break;
    }
    bool failed = ferror(file);
    int error = errno;
    fclose(file);
    if (failed)
        return err_with_status(err_sys(error, "%s", path), BOM_NO_FILE);
    if (size > 4u << 20)
        return err_with_status(err_new("%s: larger than 4 MiB, not a bom", path), BOM_BAD_FILE);
    return bom_parse(pool, path, text, size, out);
}
