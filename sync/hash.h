/* SPDX-License-Identifier: MIT */
/*
 * hash.h - a number for a string of octets that somebody else may have chosen.
 */
#ifndef WF_HASH_H
#define WF_HASH_H

#include <stddef.h>
#include <stdint.h>

/* The same for the same octets and secret. Who does not know the secret cannot
 * find octets whose numbers collide. */
struct wf_hash_secret {
    uint64_t half[2];
};

uint64_t wf_hash(const struct wf_hash_secret *secret, const void *octets,
                 size_t len);

#endif
