/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a host says about a message or a connection: names and control bytes, already copied
 * into the enclave. Only what is whole, and of a kind that can be meant, is taken.
 */
#pragma once

#include "net/packet.h"

/* Bytes of a whole name of that family. */
uint32_t answer_name_size(uint32_t family);
/* False: not a whole name of that family; out->size is then 0. */
bool answer_name(uint32_t family, const void *bytes, uint32_t size, struct sock_name *out);
/* How many of the control bytes are whole headers of kinds that only tell something: none that
 * would bring descriptors or say who somebody is. */
uint32_t answer_control(const uint8_t *bytes, uint32_t size);
