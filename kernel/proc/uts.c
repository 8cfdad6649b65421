/* SPDX-License-Identifier: BSD-3-Clause */
/* The host name, given by the host at boot, and the domain name. */
#include "proc/uts.h"

#include "enclave/boot.h"
#include "lib/string.h"
#include "proc/process.h"

#define NAME_BYTES 65u

/* proc_lock */
static char host_name[NAME_BYTES], domain_name[NAME_BYTES];
static bool host_name_known;

static void copy_name(char *to, const char *from)
{
    size_t n = strnlen(from, NAME_BYTES - 1);
    memcpy(to, from, n);
    to[n] = '\0';
}

void uts_get_names(char *host, char *domain, size_t size)
{
    spin_lock(&proc_lock);
    if (!host_name_known) {
        copy_name(host_name,
                  boot_args.hostname && *boot_args.hostname ? boot_args.hostname : "occlum");
        copy_name(domain_name, "(none)");
        host_name_known = true;
    }
    if (host)
        (void)!str_copy(host, size, host_name);
    if (domain)
        (void)!str_copy(domain, size, domain_name);
    spin_unlock(&proc_lock);
}

void uts_set_name(const char *name, bool domain)
{
    uts_get_names(NULL, NULL, 0);
    spin_lock(&proc_lock);
    copy_name(domain ? domain_name : host_name, name);
    spin_unlock(&proc_lock);
}
