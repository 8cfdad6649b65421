/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /dev/sgx: reports, by the original's requests. LIMIT: no quotes; without a quoting enclave
 * those requests give ENOTTY.
 */
#include "abi/errno.h"
#include "enclave/report.h"
#include "fs/devfs/devfs.h"
#include "mm/kmalloc.h"
#include "mm/user.h"

#define SGX_SELF_TARGET   0x82007303u
#define SGX_CREATE_REPORT 0xc0187304u
#define SGX_VERIFY_REPORT 0x41b07305u

struct request {
    struct sgx_targetinfo target;
    struct sgx_report report;
    uint8_t data[64];
};

/* As the program has it: pointers. */
struct create {
    uint64_t target_info, report_data, report;
};

static int self_target(struct request *q, uaddr_t arg)
{
    int r = enclave_target_info(&q->target);
    return r ? r : copy_to_user(arg, &q->target, sizeof(q->target));
}

/* NULL for the target or the data: zeros. */
static int create_report(struct request *q, uaddr_t arg)
{
    struct create c;
    if (get_user(&c, arg))
        return -EFAULT;
    if (c.target_info && copy_from_user(&q->target, c.target_info, sizeof(q->target)))
        return -EFAULT;
    if (c.report_data && copy_from_user(q->data, c.report_data, sizeof(q->data)))
        return -EFAULT;
    int r = enclave_report(&q->target, q->data, &q->report);
    return r ? r : copy_to_user(c.report, &q->report, sizeof(q->report));
}

static int verify_report(struct request *q, uaddr_t arg)
{
    if (copy_from_user(&q->report, arg, sizeof(q->report)))
        return -EFAULT;
    return enclave_report_verify(&q->report);
}

static int64_t sgx_ioctl(struct file *f, uint32_t request, uaddr_t arg)
{
    struct request *q = kzalloc(sizeof(*q));
    int r = -ENOTTY;
    (void)f;
    if (!q)
        return -ENOMEM;
    if (request == SGX_SELF_TARGET)
        r = self_target(q, arg);
    else if (request == SGX_CREATE_REPORT)
        r = create_report(q, arg);
    else if (request == SGX_VERIFY_REPORT)
        r = verify_report(q, arg);
    kfree(q);
    return r;
}

void devfs_register_sgx(void)
{
    static const struct file_ops ops = {.ioctl = sgx_ioctl};
    static struct device sgx = {.major = 10, .minor = 125, .name = "sgx", .ops = &ops};
    device_register(&sgx);
}
