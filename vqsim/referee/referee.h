/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The referee: knows what must hold of a device after every step, and records a
 * violation with the id of the clause when it does not. It reads the rings by
 * itself and shares no code with the driver; the guest tells it when something
 * may have changed.
 *
 * For each ring, split or packed: used entries (a chain that was available, once,
 * in the right slot with the right wrap bits, in order under IN_ORDER, with a
 * length that was written), notifications (those that the suppression fields demand and no
 * others), the parts of the ring that a device must not write, canaries around
 * what was exposed, and progress. For the device: status, features, config space
 * (lifecycle.h). The data of a disk is in disk.h, bytes that nobody wrote are in
 * undefined.h. In builds with AddressSanitizer the device cannot touch what is not exposed.
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
#include <stdio.h>

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
	VQSIM_RULE_CHAIN_LOST,     /* SPLIT-DX-02, BLK-DX-11: idle with a chain that was not used */
	VQSIM_RULE_KICK_LOST,      /* SPLIT-D-19, SPLIT-D-21: idle and deaf */
	VQSIM_RULE_PROGRESS,       /* SPLIT-DX-02, BLK-DX-11: no end of one kick */
	VQSIM_RULE_EARLY_USE,      /* STATUS-D-01 */
	VQSIM_RULE_EARLY_NOTIFY,   /* STATUS-D-02 */
	VQSIM_RULE_NEEDLESS_RESET, /* STATUS-D-03: a reset asked for without a cause */
	VQSIM_RULE_RESET_SILENT,   /* STATUS-D-04: no config-change notification with it */
	VQSIM_RULE_AFTER_RESET,    /* RESET-D-02, RESET-D-03 */
	VQSIM_RULE_STATUS,         /* BLK-DX-11: status byte not written, or wrong */
	VQSIM_RULE_DATA,           /* BLK-DX-05: read data differs from the model */
	VQSIM_RULE_DURABLE,        /* BLK-D-21 */

	/* IN_ORDER, both formats. */
	VQSIM_RULE_IN_ORDER, /* RFB-D-05 */
	VQSIM_RULE_BATCH, /* SPLIT-DX-09, PACKED-DX-12: a skipped chain was not used completely */

	/* Packed rings alone. */
	VQSIM_RULE_PACKED_WRAP,     /* PACKED-DX-04 */
	VQSIM_RULE_PACKED_POSITION, /* PACKED-D-02 */
	VQSIM_RULE_PACKED_SKIPPED,  /* PACKED-DX-05 */
	VQSIM_RULE_PACKED_TOUCHED,  /* PACKED-D-07 */
	VQSIM_RULE_PACKED_WRITE,    /* PACKED-DX-06 */
	VQSIM_RULE_PACKED_EVENT,    /* PACKED-DX-17 */
	VQSIM_RULE_PACKED_RESERVED, /* PACKED-DX-18 */

	/* One queue was reset. */
	VQSIM_RULE_QUEUE_RESET_USED,   /* VQRESET-D-01 */
	VQSIM_RULE_QUEUE_RESET_NOTIFY, /* VQRESET-D-02 */

	/* Life cycle and config space: lifecycle.h. */
	VQSIM_RULE_STATUS_FRESH,      /* STATUS-DX-01 */
	VQSIM_RULE_STATUS_BITS,       /* STATUS-DX-02 */
	VQSIM_RULE_FEATURES_OFFER,    /* FEAT-DX-01 */
	VQSIM_RULE_FEATURES_ACCEPTED, /* FEAT-D-03 */
	VQSIM_RULE_FEATURES_REFUSED,  /* FEAT-D-05 */
	VQSIM_RULE_CONFIG_GENERATION, /* CONFIG-DX-02 */
	VQSIM_RULE_CONFIG_NOTIFY,     /* CONFIG-DX-03 */

	VQSIM_RULE_UNDEFINED, /* SPLIT-D-16, PACKED-DX-07: bytes claimed that nobody wrote */

	/* File systems. */
	VQSIM_RULE_FS_REPLY,   /* FS-DX-05 */
	VQSIM_RULE_FS_PAYLOAD, /* FS-DX-04: what is behind the header of a reply */
	VQSIM_RULE_FS_SILENT,  /* FS-DX-06 */

	/* What replies of a file system say: tree.h. */
	VQSIM_RULE_TREE_ERROR,    /* FS-DX-04 */
	VQSIM_RULE_TREE_ATTR,     /* FS-DX-04 */
	VQSIM_RULE_TREE_TIME,     /* FS-DX-04 */
	VQSIM_RULE_TREE_IDENTITY, /* FS-DX-04 */
	VQSIM_RULE_TREE_NAMES,    /* FS-DX-04 */
	VQSIM_RULE_TREE_DATA,     /* FS-D-07 */
	VQSIM_RULE_TREE_XATTR,    /* FS-DX-04 */
	VQSIM_RULE_TREE_LOCK,     /* FS-DX-04 */
	VQSIM_RULE_COUNT
};

/* What is known of a rule without a run; vqsim_referee_clause knows more. */
struct vqsim_rule_text {
	const char *clause; /* "SPLIT-DX-02": of split rings, or whatever the ring */
	const char *text;   /* one sentence */
	const char *packed; /* the clause for packed rings, NULL: the same */
};

extern const struct vqsim_rule_text vqsim_rules[VQSIM_RULE_COUNT];

struct vqsim_violation {
	enum vqsim_rule rule;
	uint16_t queue;
	uint64_t step;      /* calls of the referee since it was made */
	const char *clause; /* of the rule, for this ring and device */
	const char *text;   /* the rule in one sentence */
	char detail[192];   /* what was seen, with numbers */
};

struct vqsim_referee_queue;
struct vqsim_undefined;
struct vqsim_loans;

/* What happened, for the report. Private. */
struct vqsim_referee_note {
	uint64_t step;
	uint64_t values[2];
	uint16_t queue;
	uint8_t kind;
};

#define VQSIM_REFEREE_NOTES 16u

/* The device-specific config space as it was read last. Private. */
#define VQSIM_REFEREE_CONFIG 256u

struct vqsim_referee {
	struct vqsim_memory *memory;
	uint64_t violations; /* all of them */
	uint64_t counts[VQSIM_RULE_COUNT];
	struct vqsim_violation first; /* valid if violations > 0 */
	uint64_t step;

	/*
	 * Called for each violation; NULL: printed on standard error, the first three in full
	 * (vqsim_referee_print), 16 in all.
	 */
	void (*sink)(void *opaque, const struct vqsim_violation *violation);
	void *opaque;

	/* The command that does the same again, for the report. NULL: the path of this program. */
	const char *replay_hint;

	/* What tells this run from others of this program, in names of files. NULL: nothing does. */
	const char *label;

	/* What drivers fill writable memory with before they expose it; 0xa5 unless changed. */
	uint8_t prefill;

	/* NULL, or what is handed to the driver is compared between two runs (undefined.h). */
	struct vqsim_undefined *undefined;

	uint16_t queue_count;
	struct vqsim_referee_queue *queues;

	uint32_t device_id; /* 0: not known. A guest sets it */
	bool elsewhere;     /* in another process: it works at any time. A guest sets it */

	/* What the device as a whole was seen to do. */
	uint64_t features;
	bool needs_reset;
	bool reset_excused; /* a driver's breach justifies DEVICE_NEEDS_RESET */
	uint64_t config_notifications;

	/* Private: the last steps, and the place in a ring that the next violation is about. */
	struct vqsim_referee_note notes[VQSIM_REFEREE_NOTES];
	uint64_t note_count;
	int32_t marked_slot; /* -1: none */
	uint8_t marked_part;
	bool memcheck;             /* run under valgrind */
	struct vqsim_loans *loans; /* what the device may touch; NULL: nobody watches that */

	/* Private: lifecycle.h. */
	uint8_t status;
	bool status_known;
	bool offer_known;
	uint64_t offer;
	bool accepted_known;
	uint64_t accepted;
	uint32_t config_generation;
	uint64_t config_announced;
	bool config_live; /* the last read came after DRIVER_OK */
	uint8_t config[VQSIM_REFEREE_CONFIG];
	uint8_t config_known[VQSIM_REFEREE_CONFIG];

	/* Private. What was noted when the status read 0. */
	bool in_reset;
	uint64_t reset_hash;          /* of the used rings */
	uint64_t reset_notifications; /* sum over all queues */
	uint64_t late_notifications;  /* part of it that came during the reset, of no known queue */
	uint16_t queue_room;
	uint64_t rings_from, rings_to; /* all rings lie in there */
};

/* A referee for a device in memory, which must outlive it. Returns 0 or -ENOMEM. */
int vqsim_referee_init(struct vqsim_referee *referee, struct vqsim_memory *memory);

/* A zeroed referee can be finished. */
void vqsim_referee_finish(struct vqsim_referee *referee);

/*
 * In builds with AddressSanitizer a device that touches memory which is not exposed to it ends the
 * process: after the sanitizer's report comes that of a violation. This turns it off for good,
 * for devices that are wrong on purpose: what they break is then found as in any build.
 */
void vqsim_referee_let_stray(struct vqsim_referee *referee);

/* Record a violation. detail is a printf format. */
void vqsim_referee_violation(struct vqsim_referee *referee, enum vqsim_rule rule, uint16_t queue,
			     const char *detail, ...) __attribute__((format(printf, 4, 5)));

/*
 * What the guest tells, in this order. notifications is the count of used-buffer
 * notifications of the queue so far, config_notifications that of config changes.
 */

/* Another guest takes the device over: what is counted begins at 0 again. */
void vqsim_referee_taken_over(struct vqsim_referee *referee);

/* The queues are set up and DRIVER_OK is not yet written. Returns 0 or -ENOMEM. */
int vqsim_referee_set_up(struct vqsim_referee *referee, uint64_t features,
			 const struct virtio_queue_setup *setups, uint16_t count);

/* Just before DRIVER_OK is written: nothing may have happened. */
void vqsim_referee_before_driver_ok(struct vqsim_referee *referee, uint16_t queue,
				    uint64_t notifications);

/*
 * The same, about to be done, for a device that may be quicker than the next look. Packed: the
 * first descriptor that is not exposed will get these flags.
 */
void vqsim_referee_publishing(struct vqsim_referee *referee, uint16_t queue, uint16_t head_flags);

/* The driver moved the available index, or exposed descriptors of a packed ring. */
void vqsim_referee_published(struct vqsim_referee *referee, uint16_t queue);

/*
 * What the writable bytes of a chain must come back with (head: what the used entry will
 * name it by; packed: its buffer id): its used length, and
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

/*
 * One queue was reset (2.6.1) and the device has confirmed it: what waits in its ring is
 * forgotten, the ring stays as it is and no notification comes. Its buffers may be used again.
 */
void vqsim_referee_queue_was_reset(struct vqsim_referee *referee, uint16_t queue,
				   uint64_t notifications);

/*
 * Right before the memory of that queue is used for anything else (or at the end):
 * compare with what was noted at its reset. Nothing if it was not reset.
 */
void vqsim_referee_queue_after_reset(struct vqsim_referee *referee, uint16_t queue,
				     uint64_t notifications);

/* The queue was set up again after its reset. Returns 0 or -ENOMEM. */
int vqsim_referee_queue_set_up(struct vqsim_referee *referee, uint16_t queue,
			       const struct virtio_queue_setup *setup);

/* The clause of a rule, for the ring and the device of this referee. */
const char *vqsim_referee_clause(const struct vqsim_referee *referee, enum vqsim_rule rule);

/*
 * Print a violation in full: clause, rule, what was seen, the last steps, what replays
 * it, and the ring: as a picture in a file if the environment variable VQSIM_VIOLATIONS names a
 * folder that can be written to, otherwise as text. Only within the sink, or
 * before the referee is told anything else, ring and steps are those of the violation.
 * vqsim_referee_print_rest: without the first line, which has clause, rule and what was seen; it
 * may be about what somebody else than the referee saw.
 */
void vqsim_referee_print(const struct vqsim_referee *referee,
			 const struct vqsim_violation *violation, FILE *out);
void vqsim_referee_print_rest(const struct vqsim_referee *referee,
			      const struct vqsim_violation *violation, FILE *out);

/* For a device of another process, which is not called but waited for. */
enum vqsim_owing {
	VQSIM_OWES_NOTHING = 0, /* or it broke a rule: vqsim_referee_ran will say which */
	VQSIM_OWES,             /* it has to use a chain, to notify, or to ask for a kick */
	VQSIM_OWES_WHO_KNOWS,   /* the driver broke the ring, or exposed what cannot be served */
};

/* What the device would have to do now if this were the end of a run. Changes nothing. */
enum vqsim_owing vqsim_referee_owing(const struct vqsim_referee *referee, uint16_t queue,
				     uint64_t notifications);

/* Whether the driver was seen to break the ring of this queue since the last reset. */
bool vqsim_referee_queue_void(const struct vqsim_referee *referee, uint16_t queue);

#ifdef __cplusplus
}
#endif

#endif
