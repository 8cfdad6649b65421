/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes and reads the measured configuration (boundary/config.h). The reader is for the host,
 * which needs to know which image files to hand over; the kernel has its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "boundary/layout.h"
#include "image/image.h"

/* A blob that could not grow has room 0 and says so when it is finished. */
static void append(struct config_blob *blob, const void *bytes, size_t size)
{
    if (blob->room == 0)
        return;
    if (blob->room - blob->used < size) {
        size_t room = (blob->room + size) * 2;
        uint8_t *grown = realloc(blob->bytes, room);

        if (!grown) {
            blob->room = 0;
            return;
        }
        blob->bytes = grown;
        blob->room = room;
    }
    memcpy(blob->bytes + blob->used, bytes, size);
    blob->used += size;
}

static void begin(struct config_blob *blob, enum config_record_type type, size_t bytes)
{
    struct config_record record = {.type = type, .bytes = (uint32_t)bytes};
    struct enclave_config *header = (struct enclave_config *)blob->bytes;

    if (blob->room)
        header->record_count++;
    append(blob, &record, sizeof(record));
}

static void pad(struct config_blob *blob)
{
    static const uint8_t zeros[8];

    append(blob, zeros, -blob->used & 7);
}

void config_blob_init(struct config_blob *blob, const struct enclave_config *header)
{
    blob->used = 0;
    blob->room = 4096;
    blob->bytes = malloc(blob->room);
    if (!blob->bytes)
        blob->room = 0;
    append(blob, header, sizeof(*header));
}

void config_blob_string(struct config_blob *blob, enum config_record_type type,
                        const char *text)
{
    begin(blob, type, strlen(text) + 1);
    append(blob, text, strlen(text) + 1);
    pad(blob);
}

void config_blob_mount(struct config_blob *blob, const struct config_mount *mount,
                       const char *target, const char *source, const char *options)
{
    struct config_mount record = *mount;

    record.target_bytes = (uint32_t)strlen(target) + 1;
    record.source_bytes = (uint32_t)strlen(source) + 1;
    record.options_bytes = (uint32_t)strlen(options) + 1;
    begin(blob, CONFIG_MOUNT,
          sizeof(record) + record.target_bytes + record.source_bytes + record.options_bytes);
    append(blob, &record, sizeof(record));
    append(blob, target, record.target_bytes);
    append(blob, source, record.source_bytes);
    append(blob, options, record.options_bytes);
    pad(blob);
}

struct err *config_blob_finish(struct config_blob *blob)
{
    struct enclave_config *header = (struct enclave_config *)blob->bytes;

    if (blob->room == 0)
        return err_sys(ENOMEM, "writing the enclave's configuration");
    if (blob->used > LAYOUT_CONFIG_MAX)
        return err_new("the enclave's configuration takes %zu bytes; %llu fit", blob->used,
                       (unsigned long long)LAYOUT_CONFIG_MAX);
    header->magic = CONFIG_MAGIC;
    header->version = CONFIG_VERSION;
    header->total_bytes = (uint32_t)blob->used;
    return NULL;
}

void config_blob_free(struct config_blob *blob)
{
    free(blob->bytes);
    memset(blob, 0, sizeof(*blob));
}

/* ---- reading ------------------------------------------------------------ */

/* Whether the record at `cursor` lies within `total`; advances past it. */
static int step(const uint8_t *bytes, size_t total, size_t *cursor, struct config_view *view)
{
    struct config_record record;

    if (total - *cursor < sizeof(record))
        return 0;
    memcpy(&record, bytes + *cursor, sizeof(record));
    size_t padded = ((size_t)record.bytes + 7) & ~7ul;

    if (padded > total - *cursor - sizeof(record))
        return 0;
    view->type = record.type;
    view->payload = bytes + *cursor + sizeof(record);
    view->bytes = record.bytes;
    *cursor += sizeof(record) + padded;
    return 1;
}

static int string_ok(const uint8_t *text, size_t bytes)
{
    return bytes > 0 && text[bytes - 1] == 0 && strlen((const char *)text) == bytes - 1;
}

static int record_ok(const struct config_view *view)
{
    struct config_mount mount;

    if (view->type >= CONFIG_ENTRY_POINT && view->type <= CONFIG_COMMAND &&
        view->type != CONFIG_MOUNT)
        return string_ok(view->payload, view->bytes);
    if (view->type != CONFIG_MOUNT || view->bytes < sizeof(mount))
        return 0;
    memcpy(&mount, view->payload, sizeof(mount));
    const uint8_t *target = view->payload + sizeof(mount);
    size_t left = view->bytes - sizeof(mount);

    if (mount.target_bytes > left || mount.source_bytes > left - mount.target_bytes ||
        mount.options_bytes != left - mount.target_bytes - mount.source_bytes)
        return 0;
    return string_ok(target, mount.target_bytes) &&
           string_ok(target + mount.target_bytes, mount.source_bytes) &&
           string_ok(target + mount.target_bytes + mount.source_bytes, mount.options_bytes);
}

struct err *config_check(const uint8_t *bytes, size_t size, const char *name,
                         struct enclave_config *header)
{
    size_t cursor = sizeof(*header);
    uint32_t count = 0;
    struct config_view view;

    if (size < sizeof(*header))
        return err_new("%s: no configuration", name);
    memcpy(header, bytes, sizeof(*header));
    if (header->magic != CONFIG_MAGIC || header->version != CONFIG_VERSION)
        return err_hint(err_new("%s: a configuration of another version", name),
                        "build the instance again");
    if (header->total_bytes < sizeof(*header) || header->total_bytes > size)
        return err_new("%s: the configuration is cut short", name);
    while (cursor < header->total_bytes) {
        if (!step(bytes, header->total_bytes, &cursor, &view) || !record_ok(&view))
            return err_new("%s: the configuration's record %u is damaged", name, count);
        count++;
    }
    if (count != header->record_count)
        return err_new("%s: the configuration has %u records instead of %u", name, count,
                       header->record_count);
    return NULL;
}

int config_next(const uint8_t *bytes, size_t *cursor, struct config_view *view)
{
    struct enclave_config header;

    memcpy(&header, bytes, sizeof(header));
    if (*cursor == 0)
        *cursor = sizeof(header);
    return step(bytes, header.total_bytes, cursor, view);
}
