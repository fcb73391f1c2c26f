/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What of guest memory the driver has lent to the device, and an end at once for a
 * device that touches anything else: in builds with AddressSanitizer all of the
 * device's mapping is poisoned but what is on loan. In other builds nothing can be
 * watched, and vqsim_loans_create returns NULL.
 *
 * The sanitizer knows granules of 8 bytes. The end of a loan is exact to the byte; what
 * stands before its first byte in the same granule can be touched unseen, and so can the
 * rest of a granule that two loans share: canaries are for that. It knows no direction,
 * and it does not see the kernel.
 *
 * Loans may overlap; a byte is poisoned again when the last one over it ends.
 * Private to vqsim/.
 *
 * Threads: one.
 */
#ifndef VQSIM_LOANS_INTERNAL_H
#define VQSIM_LOANS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vqsim_memory;
struct vqsim_loans;

/* Why a loan ended. */
enum vqsim_loan_end {
	VQSIM_LOAN_LASTS = 0,
	VQSIM_LOAN_USED,        /* the device used the chain */
	VQSIM_LOAN_QUEUE_RESET, /* the queue was reset, or set up anew */
	VQSIM_LOAN_RESET,       /* the device was */
};

/* What a part of memory was lent for. */
struct vqsim_loan_purpose {
	uint16_t queue;
	int64_t name;     /* of the chain, as a used entry says it; -1: not of a chain */
	const char *what; /* "used ring"; not copied */
};

/* An access outside of all loans. */
struct vqsim_stray {
	uint64_t gpa; /* the first byte that is not on loan */
	uint64_t size;
	bool write;

	/* The loan that is nearest: one that has ended and held gpa, or one that lasts. */
	bool has_near;
	struct vqsim_loan_purpose near;
	enum vqsim_loan_end end;
	uint64_t near_gpa, near_size;
};

/*
 * Watch every region of memory; none is on loan. stray is told right before the process ends.
 * Huge regions are left alone. Returns NULL: not in this build, or no memory on the host.
 */
struct vqsim_loans *vqsim_loans_create(const struct vqsim_memory *memory,
				       void (*stray)(void *opaque, const struct vqsim_stray *stray),
				       void *opaque);

/* Watch no longer. To be called while the memory is still mapped. NULL is accepted. */
void vqsim_loans_destroy(struct vqsim_loans *loans);

/*
 * Lend what there is of [gpa, gpa + size), as part of a list of loans (0: a new one) that ends
 * as one. Returns the list.
 */
uint32_t vqsim_loans_lend(struct vqsim_loans *loans, uint32_t list, uint64_t gpa, uint64_t size,
			  const struct vqsim_loan_purpose *purpose);

/* Lend all of memory: nobody can say any more what the device may touch. */
void vqsim_loans_lend_all(struct vqsim_loans *loans, uint16_t queue);

/* The loans of a list end; 0 is the empty list. */
void vqsim_loans_end(struct vqsim_loans *loans, uint32_t list, enum vqsim_loan_end end);

/* All loans of a queue end, or all there are. Lists of theirs are void. */
void vqsim_loans_end_queue(struct vqsim_loans *loans, uint16_t queue, enum vqsim_loan_end end);
void vqsim_loans_end_all(struct vqsim_loans *loans, enum vqsim_loan_end end);

#endif
