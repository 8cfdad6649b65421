/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the files of mm/ that make up an address space. Theory of operation: docs/memory.md.
 */
#pragma once

#include "lib/list.h"
#include "lib/radix.h"
#include "lib/rbtree.h"
#include "mm/vm.h"
#include "sched/family.h"
#include "sched/lock.h"
#include "sched/task.h"

#define VMA_DONTFORK   1u /* madvise(2) */
#define VMA_WIPEONFORK 2u
#define VMA_LOCKED     4u /* counts as locked: mlock(2) */
#define VMA_GROWSDOWN  8u

/* One mapping. All fields under mm->lock. */
struct vma {
    struct rb_node node;
    uaddr_t start, end;
    uint32_t prot, max_prot;
    uint32_t flags; /* VMA_* */
    bool shared;
    void *file;
    const struct vm_file_ops *file_ops;
    uint64_t offset;     /* in the file, of `start` */
    uint64_t file_limit; /* file offset from which on it reads as zero */
    const char *name;
    bool changed;             /* may have been written: not what the file has */
    uaddr_t fault_end;        /* end of the last window brought in; for sequential access */
    uint32_t window;          /* pages */
    uint32_t aliases;         /* further shared mappings of the same part of the file */
    struct mm *mm;            /* in whose tree it is */
    struct vm_object *object; /* of a shared file mapping: whose pages these are */
    struct list in_object;    /* under object->list_lock */
};

/* Owns areas of the user range: one mm, or several whose memories overlap (see family.c). */
struct family {
    struct sched_family sched;
    _Atomic uint32_t refs;    /* members, and whoever looks at it */
    struct list areas;        /* under range_lock */
    struct list members;      /* under family_lock; who was resident last comes first */
    struct vm_object *object; /* instead of members: the areas are where its file is mapped */
};

/* A piece of the user range. Under range_lock. */
struct area {
    struct rb_node node;
    struct list in_family;
    struct family *family;
    uaddr_t start, end;
    uaddr_t cursor;    /* where the search for free space begins, downwards */
    struct mm *search; /* whose mappings without an address may go here; NULL: nobody's */
    bool known;        /* to children by fork, too */
};

struct mm {
    struct sched_mm sched; /* first */
    _Atomic uint32_t refs;
    struct mutex lock;
    struct {
        uaddr_t start, end;
    } coming, program; /* claimed, and not mapped yet: no area under it is given back */
    struct rb_root vmas;
    struct family *family;  /* owner of its areas; sched.family only while there are several */
    bool parted;            /* for family_part_page() */
    bool tidy;              /* what it has in place is where its kin know nothing of */
    _Atomic uint32_t holds; /* by who wants to join it: it is not freed, but can be destroyed */
    _Atomic bool joining;   /* its lock is held by who waits for another family */
    uint64_t clan;          /* the same for who comes of one program by forks */
    bool lost, lost_told;   /* some of its pages are gone: it is killed */
    struct radix copies;    /* pages that are not in place: page | state, by page number */
    struct list in_family;  /* under family_lock */
    uaddr_t brk_start, brk, brk_limit;
    uint64_t rlimit_as, rlimit_data, rlimit_stack;
    uint64_t rlimit_memlock; /* for those who may not lock as they like: UINT64_MAX */
    uint64_t total_pages, peak_pages, data_pages, locked_pages;
    bool lock_future; /* MCL_FUTURE */
    _Atomic uint64_t resident_pages, peak_resident_pages;
    struct mm_layout layout;
    struct list images;     /* see image.c */
    struct image *laid_out; /* taken as a whole; parts of it may have more permissions yet */
    void *patch;            /* the patcher's */
    uaddr_t reuse_address;  /* the last small unmapping, and how often it was mapped again */
    uint64_t reuse_pages;
    uint32_t reuse_count;
    bool reuse_never; /* it was touched while it was unmapped */
};

/* ---- ranges.c: who owns what of the user range ---- */
/* A gap of `length` for a mapping without an address. */
int64_t range_find(struct mm *mm, uint64_t length) MUST_CHECK;
/* A new area at a random place, or below 2 GiB. */
int64_t range_random(struct mm *mm, uint64_t length, uint64_t alignment, bool low) MUST_CHECK;
/* The same for another owner than a process. */
int64_t range_random_for(struct family *f, uint64_t length) MUST_CHECK;
/* [start,end) changes its owner; -ENOMEM if it was not all `from`'s. */
int range_move(struct family *to, struct family *from, uaddr_t start, uaddr_t end) MUST_CHECK;
/* Makes [start,end) belong to mm; -EBUSY if part of it is another's. */
int range_claim(struct mm *mm, uaddr_t start, uaddr_t end) MUST_CHECK;
/* [start,end) is free again: lets searches find it. */
void range_freed(struct mm *mm, uaddr_t start, uaddr_t end);
struct family *family_new(void) MUST_CHECK;
void family_put(struct family *f); /* the last one frees the areas */
/* The area [start,end), exactly that, changes its owner. False: there is none. */
bool range_hand_over(struct family *to, struct family *from, uaddr_t start, uaddr_t end);
/* The area [start,end), exactly that, belongs to nobody any more. */
void range_release(struct family *f, uaddr_t start, uaddr_t end);
/* Nor do any of the family's. */
void range_release_all(struct family *f);
/* Where mm has searched before a fork, its children know what lies there. */
void range_fork(struct mm *mm);
/* Does `other` map something where mm alone should know what lies? */
bool range_intrudes(struct mm *mm, struct mm *other);
/* Is `at` where mm alone knows what lies? *end comes down to the end of the area. */
bool range_secret(struct mm *mm, uaddr_t at, uaddr_t *end);
/* All areas of `from` become those of `to`. */
void range_merge(struct family *to, struct family *from);
/* A family other than mm's that has part of [start,end), or NULL. With a reference. */
struct family *range_rival(struct mm *mm, uaddr_t start, uaddr_t end);

/* ---- present.c: what the CPU holds for each page ---- */
#define PAGE_PERMS   7u /* PAGES_R .. */
#define PAGE_PRESENT 8u
#define PAGE_DIRTY   16u  /* of a shared file mapping: written since the last write-back */
#define PAGE_COMMON  64u  /* in place for each member that maps it and has no copy; unchanged */
#define PAGE_WARM    32u  /* unmapped, zeroed and kept for the next mapping of this place */
#define PAGE_KEPT    128u /* unmapped, with what the image's file has there */

uint8_t present_get(uaddr_t address);
/* Makes room for the state of [start,end). -ENOMEM. */
int present_reserve(uaddr_t start, uaddr_t end) MUST_CHECK;
/* What is known of [start,end) is not needed any more, where it is `unused`. */
void present_forget(uaddr_t start, uaddr_t end, bool (*unused)(uaddr_t start, uaddr_t end));
void present_set(uaddr_t start, uaddr_t end, uint8_t state);
/* The run of pages from `start` with the same state; returns its end, at most `end`. */
uaddr_t present_run(uaddr_t start, uaddr_t end, uint8_t *state);

/* ---- limit.c: pages of programs, counted ---- */
int user_pages_add(uaddr_t start, uint64_t count) MUST_CHECK; /* -ENOMEM */
void user_pages_drop(uaddr_t start, uint64_t count);
/* True: somebody is about to give memory back, try again. */
bool vm_out_of_memory(void);
/* Pages of a process could not be kept for want of memory: it dies. */
void vm_lost(struct mm *mm);

/* ---- user_copy.S: guest memory that is known to be there. Bytes that were not copied. ---- */
size_t user_copy_raw(void *dst, const void *src, size_t size);

/* ---- shared.c ---- */
/* A shared file mapping among those that the file has: its address, 0: nowhere, it is to have
 * pages of its own; or negative errno. */
int64_t object_map(struct mm *mm, const struct vm_map_args *a, uint64_t length)
    HELD(mm->lock) MUST_CHECK;
void object_join(struct vma *v);  /* a further mapping; its object is set */
void object_leave(struct vma *v); /* before it is freed */
/* [start,end), which nobody has mapped, is to belong to mm and no longer to the object. */
int object_cede(struct vm_object *o, struct mm *mm, uaddr_t start, uaddr_t end) MUST_CHECK;
int object_fault(struct vma *v, uaddr_t page, uint32_t access) MUST_CHECK;
int object_populate(struct vma *v, uaddr_t start, uaddr_t end, bool write) MUST_CHECK;
/* After v->prot has changed. */
void object_set_prot(struct vma *v);
int object_write_back(struct vma *v, uaddr_t start, uaddr_t end) MUST_CHECK;
/* Can the mapping become longer where it is? */
bool object_reaches(const struct vma *v, uaddr_t end);
/* As unmap_locked(), but of what is mapped several times only one mapping goes. */
int unmap_counted(struct mm *mm, uaddr_t start, uaddr_t end) HELD(mm->lock) MUST_CHECK;

/* ---- image.c: files' pages that outlive processes ---- */
/* Where a private mapping of the file's [offset,offset+length) may go: its area belongs to mm
 * and is free of mappings. 0: there is no such place, -ENOMEM. */
int64_t image_place(struct mm *mm, const struct vm_map_args *a, uint64_t length) MUST_CHECK;
/* The start of the image that the address is in, or 0. */
uaddr_t image_of(struct mm *mm, uaddr_t address);
bool images_reach(struct mm *mm, uaddr_t start, uaddr_t end);
/* Kept pages where `v` has just been placed: those that fit become its own. */
void image_settle(struct mm *mm, struct vma *v);
/* The next parts are no longer parts of what was taken as a whole: permissions hold again. */
void image_laid_out(struct mm *mm) HELD(mm->lock);
/* True if mapping [start,start+length) is part of laying it out. */
bool image_lays_out(struct mm *mm, uaddr_t start, uint64_t length);
/* Images that [start,end) is all of, with data only: they can be kept at once. */
void images_unmap(struct mm *mm, uaddr_t start, uaddr_t end) HELD(mm->lock);
/* mm is going, and nobody of its family runs: what can be kept leaves it, and waits in `out`
 * until nothing of mm is left in place. */
void images_detach(struct mm *mm, struct list *out) HELD(mm->lock);
void images_keep(struct mm *mm, struct list *detached);
/* mm is going to share its addresses: what lies there unmapped goes. */
void images_drop_spare(struct mm *mm, uint8_t ways);
/* Its images are no more than areas from now on. */
void images_forget(struct mm *mm);
/* Images of mm in [start,end) that have no mapping left. */
void images_unmapped(struct mm *mm, uaddr_t start, uaddr_t end) HELD(mm->lock);
/* Kept images give [start,end) free, or, without memory, the oldest goes: false if none did. */
void images_evict(uaddr_t start, uaddr_t end);
bool images_shrink(void);

/* ---- vma.c ---- */
struct vma *vma_at(struct mm *mm, uaddr_t address);        /* contains it, or NULL */
struct vma *vma_next_from(struct mm *mm, uaddr_t address); /* first that ends above it */
struct vma *vma_prev(struct vma *v);
struct vma *vma_next(struct vma *v);
struct vma *
vma_new(const struct vma *like) MUST_CHECK; /* a copy, with its own file reference */
void vma_free(struct vma *v);
void vma_insert(struct mm *mm, struct vma *v);
/* Its pages come to (1) or leave (-1) the counts; around changes of what they are counted as.
 */
void vma_count(struct mm *mm, const struct vma *v, int sign);
bool vma_is_data(const struct vma *v); /* counts for RLIMIT_DATA */
void vma_remove(struct mm *mm, struct vma *v);
/* Makes `at` a border between mappings if it lies inside one. -ENOMEM. */
int vma_split(struct mm *mm, uaddr_t at) MUST_CHECK;
/* Joins v with neighbours that continue it; v may be gone. */
void vma_merge(struct mm *mm, struct vma *v);

/* ---- family.c: overlapping memories ---- */
/* Before [start,end) changes in `mm` alone: other members get copies of what they share there.
 */
int family_part(struct mm *mm, uaddr_t start, uaddr_t end) MUST_CHECK;
/* The first write to a page of the private `v` that a fork has made read-only. */
int family_write(struct mm *mm, struct vma *v, uaddr_t page) MUST_CHECK;
/* `fresh` is to be mapped into mm: what others have there in place makes way, or is shared. */
int family_clear(struct mm *mm, struct vma *fresh) MUST_CHECK;
/* Whether others have something there, too, but do not share mm's table of rewritten calls. */
bool family_strangers(struct mm *mm, uaddr_t start, uaddr_t end);
/* Whether another member comes of the same program by forks: it knows mm's addresses. */
bool family_kin(struct mm *mm);
/* The other members, one after the other. */
struct mm *family_other(struct mm *mm, struct mm *previous);
/* Whether another member has a shared mapping there. */
bool family_shares(struct mm *mm, uaddr_t start, uaddr_t end);
/* mm and the rival's members are to live at the same addresses; current->mm becomes mm. */
int family_join(struct mm *mm, struct family *rival) MUST_CHECK;
/* mm is going: what others need of its pages stays, its copies are freed. */
void family_leave(struct mm *mm) HELD(mm->lock);
/* The current task's claim, if it was for mm, which is gone. */
void family_unclaim(struct mm *mm);
/* `mm` has no references any more. True if it is alone; then nobody joins it from now on. */
bool family_close(struct mm *mm);
/* It is nobody's any more: until nobody looks at it. */
void family_await(struct mm *mm);

/* ---- fault.c ---- */
uint32_t prot_to_perms(uint32_t prot);
/* Brings in [start,end) of one mapping, none of it present. */
int pages_bring_in(struct mm *mm, struct vma *v, uaddr_t start, uaddr_t end) MUST_CHECK;
/* Fills [start,end), present and writable, from the file of `v`; returns the end of what the
 * file has, in whole pages, or negative errno. */
int64_t pages_fill(struct vma *v, uaddr_t start, uaddr_t end) MUST_CHECK;
/* What a file has in [start,end), page by page, before it comes into place. */
struct contents {
    uaddr_t start, end; /* in whole pages */
    struct vm_pin *pins;
    uint64_t count; /* of the pins, less if the rest is zero */
    void *buffer;   /* of a file that keeps no pages: theirs */
};
/* For `pages` pages from c->start on; comes to end at c->end. May sleep. -EIO: the file ends
 * before. */
int contents_get(struct vma *v, struct contents *c, uint64_t pages) MUST_CHECK;
void contents_put(struct vma *v, struct contents *c, uint64_t pages);
/* Into [start,end), present, zero and writable. */
void contents_copy(struct vma *v, const struct contents *c, uaddr_t start, uaddr_t end);
void pages_count(struct mm *mm, uint64_t pages); /* more are resident */
/* Present pages of [start,end) get what `prot` says. */
void pages_set_prot(struct vma *v, uaddr_t start, uaddr_t end);
/* Gives the pages of [start,end) back: all; those that are spare in one of these ways
 * (PAGE_WARM, PAGE_KEPT); those that are not spare. */
void pages_drop(struct mm *mm, uaddr_t start, uaddr_t end);
void pages_drop_spare(uaddr_t start, uaddr_t end, uint8_t ways);
void pages_drop_own(struct mm *mm, uaddr_t start, uaddr_t end);
/* Writes dirty pages of a shared file mapping back. */
int pages_write_back(struct vma *v, uaddr_t start, uaddr_t end) MUST_CHECK;
/* ---- warm.c: pages that wait, zeroed, for the next mapping of their place ---- */
/* Pages of [start,end) that can be: all but text, or those that are `writable` now. */
void pages_make_warm(struct mm *mm, uaddr_t start, uaddr_t end, bool writable);
/* Those where `v` has just been placed become its pages, or go. */
void warm_settle(struct mm *mm, struct vma *v);
/* Those where the file of `v` has something get that. */
void warm_fill(struct mm *mm, struct vma *v);
/* A small piece was unmapped again and again: its pages may wait. */
bool warm_keep(struct mm *mm, const struct vma *v);
/* A fault where nothing is mapped. */
void warm_fault(struct mm *mm, uaddr_t address);
/* Gives back what warm_keep() kept. */
void warm_drop(struct mm *mm);
/* As vm_unmap(), with the lock held. */
int unmap_locked(struct mm *mm, uaddr_t start, uaddr_t end) HELD(mm->lock) MUST_CHECK;
/* The range is to be mm's, even if it must live with another process there. */
int range_claim_fixed(struct mm *mm, uaddr_t start, uaddr_t end) HELD(mm->lock) MUST_CHECK;
/* Frees [a->address, +length) for a fixed mapping; unless `owned`, it comes to belong to mm. */
int place_fixed(struct mm *mm, const struct vm_map_args *a, uint64_t length, bool owned)
    HELD(mm->lock) MUST_CHECK;
/* As vm_map(), with the lock held. */
int64_t map_locked(struct mm *mm, const struct vm_map_args *a) HELD(mm->lock) MUST_CHECK;
