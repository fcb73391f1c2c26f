/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `vqsim run blk` asks of the disk. A workload is a few phases; a phase is
 * a number of requests that are kept in flight on all queues and retired in the
 * order in which they were made. Phases do not overlap.
 *
 * Threads: one.
 */
#ifndef VQSIM_CLI_WORKLOAD_H
#define VQSIM_CLI_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "progress.h"
#include "random.h"
#include "session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Descriptors of readable or of writable bytes that a mix cuts a request into, at most. */
#define WORKLOAD_CUTS_MAX 8u

/* Request types, in the order of the report. */
enum workload_type {
	WORKLOAD_IN,
	WORKLOAD_OUT,
	WORKLOAD_FLUSH,
	WORKLOAD_GET_ID,
	WORKLOAD_DISCARD,
	WORKLOAD_WRITE_ZEROES,
	WORKLOAD_TYPE_COUNT
};

struct workload_type_text {
	const char *name;
	uint32_t type; /* VIRTIO_BLK_T_* */
};

extern const struct workload_type_text workload_types[WORKLOAD_TYPE_COUNT];

struct workload_count {
	uint64_t requests;
	uint64_t bytes;  /* of data that IN and OUT moved */
	uint64_t errors; /* answered other than OK */
};

/* A place for one request in flight. */
struct workload_slot {
	struct vqsim_blk_request request;
	enum workload_type type;
	bool prepared; /* made, but the ring had no room yet */
	uint32_t readable_cuts[WORKLOAD_CUTS_MAX];
	uint32_t writable_cuts[WORKLOAD_CUTS_MAX];
};

/* What a mix may ask for, as the config space and the negotiated features say. */
struct workload_limits {
	uint32_t unit;             /* sectors of a logical block */
	uint32_t discard_sectors;  /* in a segment; 0: no DISCARD */
	uint32_t discard_segments; /* in a request */
	uint32_t zeroes_sectors;   /* in a segment; 0: no WRITE_ZEROES */
	uint32_t zeroes_segments;
	bool may_unmap;
	bool flush;
	unsigned descriptors; /* in one chain */
};

struct workload {
	struct session *session;
	const struct run_options *options;
	struct workload_slot *slots; /* slot i belongs to queue i % queue_count */
	uint32_t slot_count;
	struct workload_limits limits;
	struct random random;
	struct progress progress;
	uint64_t submitted; /* free-running over the phase */
	uint64_t retired;
	uint64_t retired_before; /* in the phases before this one */
	bool failed;             /* something on the host; the complaint was printed */

	/* The result. */
	struct workload_count counts[WORKLOAD_TYPE_COUNT];
	uint64_t kicks;
	uint64_t interrupts;
	uint64_t nanoseconds;
};

/* One phase. */
struct workload_phase {
	uint64_t count;

	/* Fill the request of a slot: the index'th of the phase. */
	void (*prepare)(struct workload *w, struct workload_slot *slot, uint64_t index);

	/* Its answer is there and was OK, and so are those of all before it. May be NULL. */
	void (*retire)(struct workload *w, struct workload_slot *slot, uint64_t index);

	/*
	 * Put a random number of requests in flight, not all that there is room for,
	 * and change now and then whether the driver wants notifications.
	 */
	bool bursts;
};

/*
 * Run the workload of the options and reset the device. Returns CLI_OK: all was answered OK (whether
 * there are violations, the referee knows); CLI_FAILED after a complaint.
 */
enum cli_exit workload_run(struct workload *w, struct session *session);

/* Sum of the counts. */
struct workload_count workload_total(const struct workload *w);

/* Is the feature negotiated? */
bool workload_has(const struct workload *w, unsigned bit);

/* The random mix (mix.c): what it may do, and its prepare. */
void mix_init(struct workload *w);
void mix_prepare(struct workload *w, struct workload_slot *slot, uint64_t index);

#ifdef __cplusplus
}
#endif

#endif
