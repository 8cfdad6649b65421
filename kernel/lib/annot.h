/* SPDX-License-Identifier: BSD-3-Clause */
/* Lock contracts, checked by clang's thread-safety analysis; nothing to other compilers. */
#pragma once

#if defined(__clang__)
#define ANNOT(x) __attribute__((x))
#else
#define ANNOT(x)
#endif
#define LOCK_TYPE(name)  ANNOT(capability(name))
#define GUARDED_BY(l)    ANNOT(guarded_by(l))
#define HELD(...)        ANNOT(requires_capability(__VA_ARGS__))
#define NOT_HELD(...)    ANNOT(locks_excluded(__VA_ARGS__))
#define ACQUIRES(...)    ANNOT(acquire_capability(__VA_ARGS__))
#define RELEASES(...)    ANNOT(release_capability(__VA_ARGS__))
#define TRY_ACQUIRES(...) ANNOT(try_acquire_capability(__VA_ARGS__))
#define UNCHECKED_LOCKING ANNOT(no_thread_safety_analysis)
