/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The referee: knows what must hold of a device after every step, and records a
 * violation with the id of the clause when it does not. It reads the rings by
 * itself and shares no code with the driver; the guest tells it when something
 * may have changed.
 *
 * Rules of this version, for each split ring: used entries (a chain that was
 * available, once, in the right slot, with a length that was written),
 * notifications (those that the suppression fields demand and no others), the
 * parts of the ring that a device must not write, canaries around what was
 * exposed, and progress. The data of a disk is in disk.h.
 *
 * A driver that breaks the rules itself is noticed by the referee's own reading
 * of the ring: a chain that is malformed may be used with any length up to its
 * writable bytes, or the device may ask for a reset; a ring that is corrupted
 * (index jump, head twice) voids the queue until the next reset, and only what
 * must hold even then is checked.
 *
 * A violation is not an error of the caller: it is recorded, reported through
 * the sink, and the run goes on.
 *
 * Threads: one.
 */
#ifndef VQSIM_REFEREE_REFEREE_H
#define VQSIM_REFEREE_REFEREE_H

#include <stdbool.h>
#include <stdint.h>

#include "../memory.h"
#include "../../devices/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The clauses that are watched. The ids are those of the ledger of clauses. */
enum vqsim_rule {
	VQSIM_RULE_USED_ID,          /* SPLIT-DX-02 */
	VQSIM_RULE_USED_LEN,         /* SPLIT-D-16: more than was written */
	VQSIM_RULE_USED_LEN_EXACT,   /* SPLIT-DX-03 */
	VQSIM_RULE_USED_INDEX,       /* SPLIT-DX-04 */
	VQSIM_RULE_USED_FLAGS,       /* SPLIT-D-18, SPLIT-D-20 */
	VQSIM_RULE_NOTIFY_MISSING,   /* SPLIT-D-11 */
	VQSIM_RULE_NOTIFY_EXCESS,    /* SPLIT-D-10 */
	VQSIM_RULE_EVENT_MISSING,    /* SPLIT-D-13 */
	VQSIM_RULE_EVENT_EXCESS,     /* SPLIT-D-14 */
	VQSIM_RULE_AVAIL_WRITTEN,    /* SPLIT-DX-05 */
	VQSIM_RULE_DESC_WRITTEN,     /* SPLIT-D-06 */
	VQSIM_RULE_AVAIL_EVENT,      /* SPLIT-DX-12 */
	VQSIM_RULE_READABLE_WRITTEN, /* SPLIT-D-03 */
	VQSIM_RULE_FOOTPRINT,        /* SPLIT-D-16: a canary beside a buffer changed */
	VQSIM_RULE_CHAIN_LOST,       /* BLK-DX-11: idle with a chain that was not used */
	VQSIM_RULE_KICK_LOST,        /* SPLIT-D-21: idle and deaf */
	VQSIM_RULE_PROGRESS,         /* BLK-DX-11: no end of one kick */
	VQSIM_RULE_EARLY_USE,        /* STATUS-D-01 */
	VQSIM_RULE_EARLY_NOTIFY,     /* STATUS-D-02 */
	VQSIM_RULE_NEEDLESS_RESET,   /* STATUS-D-03: a reset asked for without a cause */
	VQSIM_RULE_RESET_SILENT,     /* STATUS-D-04: no config-change notification with it */
	VQSIM_RULE_AFTER_RESET,      /* RESET-D-02, RESET-D-03 */
	VQSIM_RULE_STATUS,           /* BLK-DX-11: status byte not written, or wrong */
	VQSIM_RULE_DATA,             /* BLK-DX-05: read data differs from the model */
	VQSIM_RULE_DURABLE,          /* BLK-D-21 */
	VQSIM_RULE_COUNT
};

/* What is known of a rule without a run. */
struct vqsim_rule_text {
	const char *clause; /* "SPLIT-DX-02" */
	const char *text;   /* one sentence */
};

extern const struct vqsim_rule_text vqsim_rules[VQSIM_RULE_COUNT];

struct vqsim_violation {
	enum vqsim_rule rule;
	uint16_t queue;
	uint64_t step;    /* calls of the referee since it was made */
	char detail[192]; /* what was seen, with numbers */
};

struct vqsim_referee_queue;

struct vqsim_referee {
	struct vqsim_memory *memory;
	uint64_t violations; /* all of them */
	uint64_t counts[VQSIM_RULE_COUNT];
	struct vqsim_violation first; /* valid if violations > 0 */
	uint64_t step;

	/* Called for each violation; NULL: one line on standard error for the first 16. */
	void (*sink)(void *opaque, const struct vqsim_violation *violation);
	void *opaque;

	uint16_t queue_count;
	struct vqsim_referee_queue *queues;

	/* What the device as a whole was seen to do. */
	uint64_t features;
	bool needs_reset;
	bool reset_excused; /* a driver's breach justifies DEVICE_NEEDS_RESET */
	uint64_t config_notifications;

	/* Private. What was noted when the status read 0. */
	bool in_reset;
	uint64_t reset_hash;          /* of the used rings */
	uint64_t reset_notifications; /* sum over all queues */
	uint64_t late_notifications;  /* part of it that came during the reset, of no known queue */
	uint16_t queue_room;
};

/* A referee for a device in memory. Returns 0 or -ENOMEM. */
int vqsim_referee_init(struct vqsim_referee *referee, struct vqsim_memory *memory);

/* A zeroed referee can be finished. */
void vqsim_referee_finish(struct vqsim_referee *referee);

/* Record a violation. detail is a printf format. */
void vqsim_referee_violation(struct vqsim_referee *referee, enum vqsim_rule rule, uint16_t queue,
			     const char *detail, ...) __attribute__((format(printf, 4, 5)));

/*
 * What the guest tells, in this order. notifications is the count of used-buffer
 * notifications of the queue so far, config_notifications that of config changes.
 */

/* The queues are set up and DRIVER_OK is not yet written. Returns 0 or -ENOMEM. */
int vqsim_referee_set_up(struct vqsim_referee *referee, uint64_t features,
			 const struct virtio_queue_setup *setups, uint16_t count);

/* Just before DRIVER_OK is written: nothing may have happened. */
void vqsim_referee_before_driver_ok(struct vqsim_referee *referee, uint16_t queue,
				    uint64_t notifications);

/* The driver moved the available index. */
void vqsim_referee_published(struct vqsim_referee *referee, uint16_t queue);

/*
 * What the writable bytes of a chain must come back with: its used length, and
 * that its device-readable bytes are unchanged. To be told before the device runs; without it
 * any length up to the writable size is right.
 */
void vqsim_referee_expect_len(struct vqsim_referee *referee, uint16_t queue, uint16_t head,
			      uint32_t len);

/* The driver is about to change its wish for notifications, or to let the device run. */
void vqsim_referee_before_run(struct vqsim_referee *referee, uint16_t queue);

/* The device ran and said progress; status is the device status byte. */
void vqsim_referee_ran(struct vqsim_referee *referee, uint16_t queue, enum virtio_progress progress,
		       uint64_t notifications, uint8_t status, uint64_t config_notifications);

/* The driver takes the entry it sees at this used index: its chain is forgotten. */
void vqsim_referee_reaped(struct vqsim_referee *referee, uint16_t queue);

/*
 * The status reads 0. From here until the next set-up rings and counters stay as
 * they are. notifications is the sum over all queues: those that came during the
 * reset are allowed.
 */
void vqsim_referee_was_reset(struct vqsim_referee *referee, uint64_t notifications);

/*
 * Right before the next set-up (or at the end): compare with what was noted at
 * the reset. notifications is the sum over all queues.
 */
void vqsim_referee_after_reset(struct vqsim_referee *referee, uint64_t notifications);

/* Whether the driver was seen to break the ring of this queue since the last reset. */
bool vqsim_referee_queue_void(const struct vqsim_referee *referee, uint16_t queue);

#ifdef __cplusplus
}
#endif

#endif
