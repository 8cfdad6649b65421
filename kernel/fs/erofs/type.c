/* SPDX-License-Identifier: BSD-3-Clause */
/* The file system's type: an image at boot, or by mount(2), under its hash tree and its key. */
#include "abi/errno.h"
#include "enclave/config.h"
#include "fs/erofs/erofs.h"
#include "lib/string.h"

/* mount(2): the instance's own image, as the configuration names it. */
static const struct config_mount *configured_image(void)
{
    for (const struct config_record *r = NULL; (r = config_next(r)) != NULL;) {
        const struct config_mount *m = config_payload(r);
        if (r->type == CONFIG_MOUNT && m->fs == CONFIG_FS_EROFS && m->image == IMAGE_ROOTFS)
            return m;
    }
    return NULL;
}

static int erofs_mount(const struct config_mount *config, const char *source,
                       const char *options, struct super **out)
{
    struct block_source *blocks;
    if (!config->data_blocks && !strcmp(source, "image"))
        config = configured_image();
    if (!config)
        return -ENOENT;
    if (!config->data_blocks)
        return -EINVAL;
    int r = verity_open(config, &blocks);
    if (r == 0 && (config->flags & CONFIG_MOUNT_CRYPT)) {
        struct block_source *below = blocks;
        r = crypt_open(options, below, &blocks);
        if (r < 0)
            below->free(below);
    }
    if (r == 0)
        r = erofs_open(blocks, out);
    if (r == 0)
        (*out)->id = super_id(config->root_hash);
    return r;
}

void erofs_register(void)
{
    static struct fs_type type = {
        .name = "erofs", .user_mountable = true, .mount = erofs_mount};
    fs_type_register(&type);
}
