/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The conformance suite: cases that each name the clauses they test, run against
 * a subject at every point of a matrix of ring formats and features.
 *
 * A case is a function. It starts with a fresh device that was not brought up
 * (status 0), does things, and says with SUITE_EXPECT what must hold; the referee
 * watches all the time, and what it finds fails the case too. The first thing that
 * does not hold ends the case. Whatever a case gets from here is freed for it; it
 * must not own anything else (a case is left by longjmp).
 *
 *     static void spurious_kicks(struct vqsim_suite *s)
 *     {
 *         struct vqsim_suite_io io;
 *
 *         vqsim_suite_up(s);
 *         vqsim_guest_kick(&s->guest, 0);
 *         vqsim_guest_run(&s->guest, 0);
 *         vqsim_suite_io_init(s, &io, 512);
 *         SUITE_EXPECT(s, vqsim_suite_io_do(s, 0, &io), "a request after a spurious kick");
 *     }
 *
 *     const struct vqsim_case vqsim_cases_notify[] = {
 *         {.name = "spurious_kicks", .clauses = "SPLIT-D-22", .run = spurious_kicks},
 *         {.name = NULL},
 *     };
 *
 * Threads: one.
 */
#ifndef VQSIM_SUITE_SUITE_H
#define VQSIM_SUITE_SUITE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "subject.h"
#include "../guest.h"
#include "../guest_blk.h"
#include "../guest_fs.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One point of the matrix: what the driver takes and how it lays its chains out. */
struct vqsim_point {
	bool packed;
	bool indirect; /* INDIRECT_DESC is taken and requests go through tables */
	bool event_idx;
	bool in_order;
	uint16_t queue_count;
	uint16_t queue_size;
};

/* Most points that a subject can have. */
#define VQSIM_POINTS_MAX 128u

/* Room for the name of a point: "packed,indirect,event_idx,in_order,4x16". */
#define VQSIM_POINT_NAME 64u

/* The feature bits of the ring that a point takes. */
uint64_t vqsim_point_features(const struct vqsim_point *point);
void vqsim_point_name(const struct vqsim_point *point, char name[VQSIM_POINT_NAME]);

/* All points that a device with this offer allows, in a fixed order. Returns how many. */
unsigned vqsim_points(uint64_t offered, struct vqsim_point points[VQSIM_POINTS_MAX]);

enum vqsim_formats {
	VQSIM_ANY_FORMAT = 0,
	VQSIM_SPLIT = 1,
	VQSIM_PACKED = 2,
};

/* At how many points a case runs, of those that fit it. */
enum vqsim_case_scope {
	VQSIM_EACH_POINT = 0,
	VQSIM_EACH_FORMAT, /* the first of each format: it depends on nothing else of the point */
	VQSIM_ONCE,        /* the first: it does not even depend on the format */
};

struct vqsim_suite;

/* A zeroed member asks for nothing. */
struct vqsim_case {
	const char *name;    /* unique: "spurious_kicks" */
	const char *clauses; /* ids with spaces between, the main one (of each format) first */
	const char *bugs; /* ids of historic bugs it would see, with spaces between; NULL: none */
	enum vqsim_formats formats;
	enum vqsim_case_scope scope;
	uint64_t needs;   /* features that must be offered; bits of the ring: taken at the point */
	uint64_t without; /* bits of the ring that must not be taken at the point */
	uint16_t queue_count_min;
	uint32_t device_id;                   /* 0: any */
	struct vqsim_subject_options options; /* queue_count 0: as at the point */
	void (*run)(struct vqsim_suite *suite);
};

/* All cases: tables that end with a NULL name; the list ends with NULL. */
extern const struct vqsim_case *const vqsim_case_tables[];

/* The case of this name, or NULL. */
const struct vqsim_case *vqsim_case_find(const char *name);

/* Whether a clause id stands in a list with spaces between. */
bool vqsim_case_names(const char *list, const char *id);

enum vqsim_result {
	VQSIM_PASSED = 0,
	VQSIM_FAILED,
	VQSIM_NOT_APPLICABLE, /* the device does not offer what the case is about */
	VQSIM_NOT_OBSERVABLE, /* the subject has no hook for it */
	VQSIM_RESULT_COUNT
};

struct vqsim_outcome {
	const struct vqsim_case *test;
	struct vqsim_point point; /* zeroed: the case ran at no point */
	enum vqsim_result result;
	char clause[24]; /* FAILED: the clause that was broken, or VQSIM_SUITE_BRING_UP */
	char text[512];  /* the reason, for all but PASSED */

	/*
	 * FAILED: lines with the last steps, the command that replays it and the ring
	 * (vqsim_referee_print_rest), for the first VQSIM_SUITE_REPORTS points of a case that fail;
	 * otherwise NULL. Valid until the reporter returns.
	 */
	const char *report;
};

#define VQSIM_SUITE_REPORTS 3u

/* In place of a clause: what failed comes before what the case is about, and may be the host's. */
#define VQSIM_SUITE_BRING_UP "bring-up"

/* The same for what the subject itself calls a fault of the backend. */
#define VQSIM_SUITE_BACKEND "backend"

/* --- for cases -------------------------------------------------------------------------------- */

/* Bytes from the start of a disk of which every case knows the content at first. */
#define VQSIM_SUITE_PATTERN_SIZE (64u << 10)

/* A disk has at least and at most so many bytes. */
#define VQSIM_SUITE_DISK_MIN (128u << 10)
#define VQSIM_SUITE_DISK_MAX (64u << 20)

/* Rounds of a device that waits before it is said to wait for ever. */
#define VQSIM_SUITE_ROUNDS_MAX 100000u

/* What is there at an offset, and at the size bytes from there on. */
uint8_t vqsim_suite_pattern(uint64_t offset);
void vqsim_suite_pattern_fill(uint64_t offset, uint8_t *bytes, uint32_t size);

/* Guest memory: regions by index, for vqsim_memory_alloc_in. LOW and NEXT touch, APART does not. */
enum vqsim_suite_region {
	VQSIM_SUITE_LOW,
	VQSIM_SUITE_NEXT,
	VQSIM_SUITE_APART,
	VQSIM_SUITE_HIGH, /* above 4 GiB */
	VQSIM_SUITE_REGIONS
};

/* One case at one point. Public: a case uses the parts directly. */
struct vqsim_suite {
	const struct vqsim_subject *subject;
	const struct vqsim_case *test;
	struct vqsim_point point;

	struct vqsim_memory memory;
	struct vqsim_referee referee;
	struct virtio_device *device;
	void *instance; /* for the hooks: suite->subject->ops->resize(suite->instance, ...) */
	struct vqsim_subject_facts facts;
	uint64_t offered; /* features */
	struct vqsim_guest guest;
	bool is_blk;
	struct vqsim_disk disk; /* model; if the device is a block device */
	struct vqsim_blk blk;   /* valid after vqsim_suite_up of a block device */
	bool is_fs;
	struct vqsim_fs fs; /* valid after vqsim_suite_up of a file-system device; no session */
	bool has_tree;
	struct vqsim_tree tree;       /* model, if facts.tree; ios are not its requests */
	struct vqsim_fs_file pattern; /* that ios read, if there is a session of theirs */
	uint16_t fs_queues;           /* before the first that carries ios */

	/* Private. */
	struct vqsim_outcome *outcome;
	struct vqsim_suite_request *requests; /* all that were given out */
	struct vqsim_suite_fs_request *fs_requests;
	struct vqsim_suite_io **ios; /* in flight; only compared, never followed */
	unsigned io_count, io_room;
	unsigned io_serial; /* ios so far */
	uint64_t pattern_size;
	bool has_device, has_disk, has_pattern, in_case;
	char replay[256]; /* what the referee says that replays it */
	char label[128];  /* in names of pictures */
	char *report;     /* of the first failure, if there is one */
	bool reported;    /* no report is wanted any more */
	bool of_tree;     /* the failure is one that the model of a tree saw */
	jmp_buf end;
};

/*
 * What must hold. condition false: the case fails with the sentence (a printf
 * format that says what must hold, or what was seen instead) and ends.
 * SUITE_EXPECT blames the first clause of the case, at a packed point the first that is not
 * SPLIT-..., at a split one the first that is not PACKED-...
 */
#define SUITE_EXPECT(suite, condition, ...) SUITE_EXPECT_CLAUSE(suite, NULL, condition, __VA_ARGS__)

#define SUITE_EXPECT_CLAUSE(suite, clause, condition, ...)                                \
	do {                                                                              \
		if (!(condition))                                                         \
			vqsim_suite_fail(suite, clause, __FILE__, __LINE__, __VA_ARGS__); \
	} while (0)

/* End the case as not observable if the subject has not this hook. */
#define SUITE_NEEDS_HOOK(suite, hook)                                                   \
	do {                                                                            \
		if (!(suite)->subject->ops->hook)                                       \
			vqsim_suite_not_observable(suite, "the subject has no " #hook); \
	} while (0)

/* The three ways to end a case early. clause NULL: as SUITE_EXPECT. */
void vqsim_suite_fail(struct vqsim_suite *suite, const char *clause, const char *file, int line,
		      const char *format, ...) __attribute__((noreturn, format(printf, 5, 6)));
void vqsim_suite_not_applicable(struct vqsim_suite *suite, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));
void vqsim_suite_not_observable(struct vqsim_suite *suite, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

/* Whether a feature bit is offered, and whether it is negotiated. */
bool vqsim_suite_offers(const struct vqsim_suite *suite, unsigned bit);
bool vqsim_suite_has(const struct vqsim_suite *suite, unsigned bit);

/*
 * Another device of the same subject in place of the one there is; nothing is known of it but
 * the pattern. Fails the case, or ends it as not observable, if it cannot be made.
 */
void vqsim_suite_remake(struct vqsim_suite *suite, const struct vqsim_subject_options *options);

/*
 * Queue number of those that ios go through. fs: behind hiprio, and the request queue that the
 * session of ios begins on, so that the rings of a case are fresh. Where there is one request
 * queue, it is reset when the session has begun.
 */
uint16_t vqsim_suite_queue(const struct vqsim_suite *suite, unsigned number);

/*
 * What vqsim_suite_up asks for: the point, and all features of the device type. RING_RESET and
 * NOTIFICATION_DATA are not among them.
 */
struct vqsim_guest_config vqsim_suite_config(const struct vqsim_suite *suite);

/*
 * (Reset and) bring the device up as the point says. Fails the case if it does not come up, and
 * blames no clause for that (VQSIM_SUITE_BRING_UP).
 * vqsim_suite_up_with: with another configuration; vqsim_suite_up_size: another queue size;
 * vqsim_suite_up_without: without some features (those of the point included);
 * vqsim_suite_must_come_up: where the bring-up is what the case is about, so that this clause of
 * it is blamed (NULL: as SUITE_EXPECT).
 */
void vqsim_suite_up(struct vqsim_suite *suite);
void vqsim_suite_up_with(struct vqsim_suite *suite, const struct vqsim_guest_config *config);
void vqsim_suite_up_size(struct vqsim_suite *suite, uint16_t queue_size);
void vqsim_suite_up_without(struct vqsim_suite *suite, uint64_t features);
void vqsim_suite_must_come_up(struct vqsim_suite *suite, const char *clause,
			      const struct vqsim_guest_config *config);

/*
 * The same in two halves, with queue 0 alone and for ios only: (reset and) steps 1 to 7 of 3.1.1,
 * and DRIVER_OK. A split ring begins at this index, as if it had been in use before; a packed one
 * always at 0.
 */
void vqsim_suite_prepare(struct vqsim_suite *suite, uint16_t index);
void vqsim_suite_driver_ok(struct vqsim_suite *suite);

/*
 * A request that every ring device answers: 16 readable bytes of header, data_size writable
 * bytes and a status byte behind them (blk: an IN of sectors of the pattern, the null device
 * fills); fs: a READ of the pattern, whose status is in the 16 bytes before the data. The
 * case may lay it out anew before it is added: elements, count, direct.
 */
#define VQSIM_SUITE_ELEMENTS_MAX 256u

struct vqsim_suite_io {
	uint32_t data_size;
	uint32_t readable_size; /* at header_gpa */
	uint32_t writable_size; /* at data_gpa: data_size bytes and what is the status */
	uint64_t header_gpa;
	uint64_t data_gpa;
	uint64_t table_gpa; /* VQSIM_SUITE_ELEMENTS_MAX entries of a table */
	struct vqsim_element elements[VQSIM_SUITE_ELEMENTS_MAX];
	uint16_t count;
	uint16_t direct;       /* count: no table; default: by the point */
	uint8_t *header;       /* host pointers of the driver to the parts */
	uint8_t *data;         /* all that is writable */
	uint8_t *status;       /* 0: it went well */
	uint32_t expected_len; /* used length of a device that tells the truth */
	uint32_t head;         /* what vqsim_driver_add said */
	bool done;             /* it came back */
	bool batched;          /* and a later one's used entry stood for it: no length (IN_ORDER) */
	uint32_t used_len;
};

/*
 * After vqsim_suite_up; a reset ends its life. data_size: a multiple of 512, at most
 * VQSIM_SUITE_PATTERN_SIZE. Each io of a case reads another place of the disk, or counts on
 * from another byte.
 * vqsim_suite_io_reset makes it ready to be added again: prefill, default layout.
 */
void vqsim_suite_io_init(struct vqsim_suite *suite, struct vqsim_suite_io *io, uint32_t data_size);
void vqsim_suite_io_reset(struct vqsim_suite *suite, struct vqsim_suite_io *io);

/* Fill elements with the readable and the writable part cut into pieces of these sizes. */
void vqsim_suite_io_cut(struct vqsim_suite_io *io, const uint32_t *readable,
			unsigned readable_count, const uint32_t *writable, unsigned writable_count);

/* Into the ring; the device sees it after vqsim_guest_publish. Fails the case: no room. */
void vqsim_suite_io_add(struct vqsim_suite *suite, uint16_t queue, struct vqsim_suite_io *io);

/*
 * Take everything that came back on a queue and mark its ios done. Fails the case if an entry
 * makes no sense. Returns how many.
 */
unsigned vqsim_suite_io_reap(struct vqsim_suite *suite, uint16_t queue);

/* Fails the case unless it came back with the right data, status 0 and the exact length. */
void vqsim_suite_io_check(struct vqsim_suite *suite, const struct vqsim_suite_io *io);

/*
 * Whether the first size bytes of the writable part (data, then status) are what a device that
 * claims so many must have written.
 */
bool vqsim_suite_io_right(const struct vqsim_suite *suite, const struct vqsim_suite_io *io,
			  uint32_t size);

/* Add, publish, settle, reap. Returns whether it came back (and checks it, if so). */
bool vqsim_suite_io_do(struct vqsim_suite *suite, uint16_t queue, struct vqsim_suite_io *io);

/*
 * Publish, settle and reap what was added, where this io must be answered rightly: the case is
 * blamed if it is not, before the referee looks.
 */
void vqsim_suite_io_serve(struct vqsim_suite *suite, uint16_t queue, struct vqsim_suite_io *io);

/* A good request on this queue is answered rightly: for after something bad. */
void vqsim_suite_good_request(struct vqsim_suite *suite, uint16_t queue);

/* The same now and after a reset, brought up as at the point. */
void vqsim_suite_still_good(struct vqsim_suite *suite);

/* Publish what was added to a queue, kick it if wanted, and run it until it rests. */
void vqsim_suite_settle(struct vqsim_suite *suite, uint16_t queue);

/*
 * The same in two halves: what a case has to see before the referee does, who may find more in
 * it and name another clause, stands between them.
 */
enum virtio_progress vqsim_suite_work(struct vqsim_suite *suite, uint16_t queue);
void vqsim_suite_judge(struct vqsim_suite *suite, uint16_t queue, enum virtio_progress progress);

/* --- for cases about block devices ------------------------------------------------------------ */

/*
 * A request (guest_blk.h) of the suite's, with indirect as at the point; its answers are checked
 * by the model disk. It cannot be used after a reset: ask for another one. A queue carries
 * requests or ios, not both at a time.
 */
struct vqsim_blk_request *vqsim_suite_request(struct vqsim_suite *suite, uint32_t data_room);

/* Fill in, submit and wait. Returns the status; fails the case if it never comes back. */
int vqsim_suite_do(struct vqsim_suite *suite, uint16_t queue, struct vqsim_blk_request *request,
		   uint32_t type, uint64_t sector, uint32_t data_size);

/*
 * One write, read or flush on queue 0 that must be answered OK. Do not write below
 * VQSIM_SUITE_PATTERN_SIZE if an io follows: it reads the pattern.
 */
void vqsim_suite_write(struct vqsim_suite *suite, uint64_t sector, const void *data, uint32_t size);
void vqsim_suite_read(struct vqsim_suite *suite, uint64_t sector, void *data, uint32_t size);
void vqsim_suite_flush(struct vqsim_suite *suite);

/* --- for cases about file-system devices ------------------------------------------------------ */

/*
 * Begin a session. Fails the case if there is none then. Request queues are 1 to
 * point.queue_count + 1; it is begun on the first.
 */
void vqsim_suite_fs_begin(struct vqsim_suite *suite);

/* A request (guest_fs.h) of the suite's, with indirect as at the point; not after a reset. */
struct vqsim_fs_request *vqsim_suite_fs_request(struct vqsim_suite *suite);

/* A little-endian field of the config space, of 1 to 8 bytes. */
uint64_t vqsim_suite_config_field(struct vqsim_suite *suite, uint32_t offset, uint32_t size);

/* --- for runners ------------------------------------------------------------------------------ */

/* Which cases to run. A zeroed filter lets all through. */
struct vqsim_filter {
	/* Of names, with * and ? (fnmatch); without them: a part of the name. */
	const char *pattern;
	const char *clause; /* an id */
	const char *point;  /* of names of points (vqsim_point_name), with * and ? (fnmatch) */
};

bool vqsim_filter_matches(const struct vqsim_filter *filter, const struct vqsim_case *test);
bool vqsim_filter_lets(const struct vqsim_filter *filter, const struct vqsim_point *point);

/* Called for each outcome, in a fixed order. */
typedef void vqsim_reporter(void *opaque, const struct vqsim_outcome *outcome);

struct vqsim_totals {
	uint64_t counts[VQSIM_RESULT_COUNT];
};

/*
 * Run every case that the filter lets through at every point that fits it. A case that fits no
 * point is reported once. report may be NULL.
 * Returns 0; -ENOENT: the filter lets nothing through; what the subject's create said.
 */
int vqsim_suite_run(const struct vqsim_subject *subject, const struct vqsim_filter *filter,
		    vqsim_reporter *report, void *opaque, struct vqsim_totals *totals);

/* The same for one case, whether it is in a table or not. */
int vqsim_suite_run_case(const struct vqsim_subject *subject, const struct vqsim_case *test,
			 vqsim_reporter *report, void *opaque, struct vqsim_totals *totals);

#ifdef __cplusplus
}
#endif

#endif
