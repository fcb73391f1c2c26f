/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Our own devices as subjects. A block device stands on a chain of stores:
 *
 *     blk - wrap_store (if the subject is to be wrong) - faults - ram or file
 *
 * so that faults sees what really reaches the disk.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "subject_internal.h"
#include "suite.h"
#include "../faults.h"
#include "../../devices/blk/blk.h"
#include "../../devices/null/null.h"

#define DEFAULT_SIZE       (256u << 10)
#define DEFAULT_QUEUE_SIZE 1024u

/* What a name says. */
struct plan {
	bool bare;        /* null without NULL_FILL */
	uint64_t size;    /* of a ram disk */
	const char *path; /* of a file, or NULL */
};

struct instance {
	struct virtio_device *device; /* what the suite sees */
	struct virtio_device *inner;  /* ours: the same, or inside of device */
	struct blk_store *store;      /* the outermost; NULL: a null device */
	struct vqsim_faults *faults;
	bool fills;
};

static const struct plan *plan_of(const struct vqsim_subject *subject)
{
	return subject->opaque;
}

static void destroy(void *opaque)
{
	struct instance *instance = opaque;

	if (instance->device)
		instance->device->ops->destroy(instance->device);
	if (instance->store)
		instance->store->ops->destroy(instance->store);
	free(instance);
}

static int make_base(const struct plan *plan, const struct vqsim_subject_options *options,
		     struct blk_store **store)
{
	if (!plan->path)
		return blk_store_ram_create(store, options->size ? options->size : plan->size);
	if (options->size)
		return -ENOTSUP;
	return blk_store_file_create(store, plan->path, 0);
}

static int make_store(const struct vqsim_subject *subject,
		      const struct vqsim_subject_options *options, struct instance *instance)
{
	struct blk_store *base, *wrapped;
	int error = make_base(plan_of(subject), options, &base);

	if (error)
		return error;
	instance->faults = vqsim_faults_create(base);
	if (!instance->faults) {
		base->ops->destroy(base);
		return -ENOMEM;
	}
	instance->store = &instance->faults->base;
	if (!subject->wrap_store)
		return 0;
	wrapped = subject->wrap_store(instance->store, subject->how);
	if (!wrapped)
		return -ENOMEM;
	instance->store = wrapped;
	return 0;
}

static int make_blk(const struct vqsim_subject *subject,
		    const struct vqsim_subject_options *options, struct instance *instance)
{
	const struct blk_options blk = {
		.queue_count = options->queue_count,
		.queue_size_max = options->queue_size_max,
		.block_size = options->block_size,
		.id = options->id ? options->id : "vqsim",
		.read_only = options->read_only,
	};
	int error = make_store(subject, options, instance);

	return error ? error : blk_create(&instance->inner, &blk, instance->store);
}

static int make_null(const struct vqsim_subject *subject,
		     const struct vqsim_subject_options *options, struct instance *instance)
{
	instance->fills = !plan_of(subject)->bare;
	return null_create(&instance->inner, options->queue_count ? options->queue_count : 1,
			   options->queue_size_max ? options->queue_size_max : DEFAULT_QUEUE_SIZE,
			   instance->fills ? NULL_FILL : 0);
}

static int create_with(const struct vqsim_subject *subject,
		       const struct vqsim_subject_options *options, struct virtio_device **device,
		       void **opaque,
		       int (*make)(const struct vqsim_subject *,
				   const struct vqsim_subject_options *, struct instance *))
{
	struct instance *instance = calloc(1, sizeof(*instance));
	int error;

	if (!instance)
		return -ENOMEM;
	error = make(subject, options, instance);
	instance->device = instance->inner;
	if (error == 0 && subject->wrap_device) {
		struct virtio_device *wrapped = subject->wrap_device(instance->inner, subject->how);

		if (wrapped)
			instance->device = wrapped;
		else
			error = -ENOMEM;
	}
	if (error) {
		destroy(instance);
		return error;
	}
	*device = instance->device;
	*opaque = instance;
	return 0;
}

static int create_blk(const struct vqsim_subject *subject,
		      const struct vqsim_subject_options *options, struct virtio_device **device,
		      void **instance)
{
	return create_with(subject, options, device, instance, make_blk);
}

/* The options of a disk mean nothing to it. */
static int create_null(const struct vqsim_subject *subject,
		       const struct vqsim_subject_options *options, struct virtio_device **device,
		       void **instance)
{
	return create_with(subject, options, device, instance, make_null);
}

static void facts_blk(void *opaque, struct vqsim_subject_facts *facts)
{
	struct instance *instance = opaque;
	struct blk_limits limits;

	instance->store->ops->limits(instance->store, &limits);
	facts->deallocate = limits.unmap;
}

static void facts_null(void *opaque, struct vqsim_subject_facts *facts)
{
	facts->fills = ((struct instance *)opaque)->fills;
}

static int resize(void *opaque, uint64_t size)
{
	struct instance *instance = opaque;
	int error = instance->store->ops->resize(instance->store, size);

	if (error == 0)
		blk_capacity_changed(instance->inner);
	return error;
}

static void no_unmap(struct blk_limits *limits)
{
	limits->unmap = false;
}

static int set_may_unmap(void *opaque, bool may_unmap)
{
	struct instance *instance = opaque;

	instance->faults->limit = may_unmap ? NULL : no_unmap;
	blk_capacity_changed(instance->inner);
	return 0;
}

/* Straight to the store below faults: it is not logged, held or failed. */
static int move(struct instance *instance, enum blk_op op, uint64_t offset, void *data,
		uint64_t size)
{
	struct blk_store *store = instance->faults->inner;
	struct blk_store_queue *queue = store->ops->queue_open(store, 1);
	struct iovec iov = {data, size};
	struct blk_io io = {.op = op, .offset = offset, .size = size, .data = {&iov, 1, 0, size}};

	if (!queue)
		return -ENOMEM;
	store->ops->submit(queue, &io);
	store->ops->queue_close(queue);
	return io.result;
}

static int peek(void *opaque, uint64_t offset, void *to, uint64_t size)
{
	return move(opaque, BLK_OP_READ, offset, to, size);
}

static int poke(void *opaque, uint64_t offset, const void *from, uint64_t size)
{
	struct instance *instance = opaque;
	struct vqsim_faults *faults = instance->faults;
	uint8_t *copy = malloc(size);
	int error;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, from, size);
	error = move(instance, BLK_OP_WRITE, offset, copy, size);
	free(copy);
	if (error == 0 && offset < faults->size)
		memcpy(faults->medium + offset, from,
		       size < faults->size - offset ? size : faults->size - offset);
	return error;
}

static void hold(void *opaque, bool on)
{
	struct vqsim_faults *faults = ((struct instance *)opaque)->faults;

	faults->hold = on;
	faults->let_go = on ? 0 : VQSIM_FAULTS_ALL;
}

static void release(void *opaque, unsigned count, bool newest_first)
{
	struct vqsim_faults *faults = ((struct instance *)opaque)->faults;

	faults->newest_first = newest_first;
	faults->let_go = count;
}

static unsigned held(void *opaque)
{
	return ((struct instance *)opaque)->faults->held;
}

static void fail_next(void *opaque, int error)
{
	struct vqsim_faults *faults = ((struct instance *)opaque)->faults;

	faults->fail_at = faults->taken + 1;
	faults->error = error;
}

static unsigned store_log(void *opaque, struct vqsim_store_entry *entries, unsigned max)
{
	const struct vqsim_faults *faults = ((struct instance *)opaque)->faults;
	unsigned known =
		faults->taken < VQSIM_FAULTS_LOG_MAX ? faults->taken : VQSIM_FAULTS_LOG_MAX;

	for (unsigned i = 0; i < max && i < known; i++)
		entries[i] = (struct vqsim_store_entry){
			.op = faults->log[i].op,
			.flags = faults->log[i].flags,
			.offset = faults->log[i].offset,
			.size = faults->log[i].size,
			.segments = (unsigned)faults->log[i].segments,
		};
	return known;
}

static int power_cut(void *opaque, void *image, uint64_t size)
{
	const struct vqsim_faults *faults = ((struct instance *)opaque)->faults;

	if (size > faults->size)
		return -EINVAL;
	memcpy(image, faults->medium, size);
	return 0;
}

static const struct vqsim_subject_ops null_ops = {
	.create = create_null,
	.destroy = destroy,
	.facts = facts_null,
};

static const struct vqsim_subject_ops ram_ops = {
	.create = create_blk,
	.destroy = destroy,
	.facts = facts_blk,
	.resize = resize,
	.set_may_unmap = set_may_unmap,
	.peek = peek,
	.poke = poke,
	.hold = hold,
	.release = release,
	.held = held,
	.fail_next = fail_next,
	.log = store_log,
	.power_cut = power_cut,
};

/* No resize: the file is the user's. */
static const struct vqsim_subject_ops file_ops = {
	.create = create_blk,
	.destroy = destroy,
	.facts = facts_blk,
	.peek = peek,
	.poke = poke,
	.hold = hold,
	.release = release,
	.held = held,
	.fail_next = fail_next,
	.log = store_log,
	.power_cut = power_cut,
};

/* Digits and at most one of K, M and G. */
static int parse_size(const char *text, uint64_t *size)
{
	static const char suffixes[] = "KMG";
	const char *suffix;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*size = strtoull(text, &end, 10);
	suffix = *end ? strchr(suffixes, *end) : NULL;
	if (errno || (*end && (!suffix || end[1])))
		return -EINVAL;
	if (suffix && *size > UINT64_MAX >> 30)
		return -EFBIG;
	if (suffix)
		*size <<= 10 * (suffix - suffixes + 1);
	return 0;
}

static int check_size(uint64_t size)
{
	if (size < VQSIM_SUITE_DISK_MIN || size % 512 != 0)
		return -EINVAL;
	return size > VQSIM_SUITE_DISK_MAX ? -EFBIG : 0;
}

/* Whether the file can be opened, and how large it is. */
static int check_file(const char *path)
{
	struct blk_limits limits;
	struct blk_store *store;
	int error = blk_store_file_create(&store, path, 0);

	if (error)
		return error;
	store->ops->limits(store, &limits);
	store->ops->destroy(store);
	return check_size(limits.size);
}

static int plan_ram(struct plan *plan, const char *size)
{
	int error = 0;

	plan->size = DEFAULT_SIZE;
	if (*size == ':')
		error = parse_size(size + 1, &plan->size);
	else if (*size)
		return -EINVAL;
	return error ? error : check_size(plan->size);
}

static int make_plan(struct plan *plan, const char *name, const struct vqsim_subject_ops **ops)
{
	*ops = &null_ops;
	plan->bare = strcmp(name, "null:bare") == 0;
	if (plan->bare || strcmp(name, "null") == 0)
		return 0;
	*ops = &ram_ops;
	if (strncmp(name, "blk:ram", 7) == 0)
		return plan_ram(plan, name + 7);
	*ops = vqsim_subject_fs(name);
	if (*ops)
		return 0;
	*ops = &file_ops;
	plan->path = name + 9;
	return strncmp(name, "blk:file:", 9) == 0 ? check_file(plan->path) : -EINVAL;
}

int vqsim_subject_init(struct vqsim_subject *subject, const char *name)
{
	struct plan *plan;
	int error;

	if (vqsim_subject_is_remote(name))
		return vqsim_subject_remote_init(subject, name, NULL, NULL);
	plan = calloc(1, sizeof(*plan));
	memset(subject, 0, sizeof(*subject));
	if (!plan)
		return -ENOMEM;
	error = make_plan(plan, name, &subject->ops);
	if (error) {
		free(plan);
		return error;
	}
	subject->name = name;
	subject->opaque = plan;
	return 0;
}

void vqsim_subject_finish(struct vqsim_subject *subject)
{
	if (subject->elsewhere)
		vqsim_subject_remote_finish(subject);
	else
		free(subject->opaque);
	memset(subject, 0, sizeof(*subject));
}
