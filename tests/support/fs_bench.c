/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fs_bench.h"

#define MEBIBYTE UINT64_C(0x100000)

/* The first two touch. */
static const struct vqsim_region regions[] = {
	{1 * MEBIBYTE, 15 * MEBIBYTE},
	{16 * MEBIBYTE, 1 * MEBIBYTE},
	{5120 * MEBIBYTE, 1 * MEBIBYTE},
};

static void note_violation(void *opaque, const struct vqsim_violation *v)
{
	struct fs_bench *bench = opaque;

	first_violation_keep(&bench->first, &bench->referee, v);
}

static void session_create(struct fs_bench *bench)
{
	const struct fs_bench_options *options = &bench->options;

	bench->session = options->session;
	if (bench->session)
		return;
	bench->tree = options->tree;
	if (!bench->tree)
		assert_int_equal(fs_tree_ram_create(&bench->tree, NULL), 0);
	assert_int_equal(fuse_session_create(&bench->session, &options->fuse, bench->tree), 0);
}

static void device_create(struct fs_bench *bench)
{
	const struct fs_bench_options *options = &bench->options;
	const struct fs_options fs = {
		.tag = options->tag ? options->tag : "bench",
		.request_queue_count = options->request_queues,
	};

	assert_int_equal(fs_create(&bench->device, &fs, bench->session), 0);
}

/* Trees of a caller's may have any faults, unless it says what they are free to do. */
static void model_create(struct fs_bench *bench)
{
	const struct vqsim_tree_options options = {.freedom = bench->options.freedom};

	if (bench->options.session || (bench->options.tree && options.freedom == 0))
		return;
	assert_int_equal(vqsim_tree_init(&bench->model, &bench->referee, &options), 0);
}

struct fs_bench *fs_bench_create(const struct fs_bench_options *options)
{
	struct fs_bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	bench->options = *options;
	assert_int_equal(
		vqsim_memory_init(&bench->memory, regions, sizeof(regions) / sizeof(regions[0])),
		0);
	assert_int_equal(vqsim_referee_init(&bench->referee, &bench->memory), 0);
	bench->referee.sink = note_violation;
	bench->referee.opaque = bench;
	session_create(bench);
	model_create(bench);
	device_create(bench);
	assert_int_equal(
		vqsim_guest_init(&bench->guest, &bench->memory, bench->device, &bench->referee), 0);
	if (!options->down)
		fs_bench_up(bench);
	return bench;
}

static uint64_t features_of(const struct fs_bench_options *options)
{
	uint64_t packed = VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);

	return ~options->without & (options->packed ? ~UINT64_C(0) : ~packed);
}

void fs_bench_up(struct fs_bench *bench)
{
	const struct fs_bench_options *options = &bench->options;
	const struct vqsim_guest_config config = {
		.features = features_of(options),
		.queue_size = options->queue_size ? options->queue_size : 64,
	};

	fs_bench_down(bench);
	assert_int_equal(vqsim_guest_bring_up(&bench->guest, &config), VQSIM_UP);
	assert_int_equal(vqsim_fs_init(&bench->fs, &bench->guest, options->data_room), 0);
	bench->fs.swapped = options->swapped;
	if (bench->model.referee)
		vqsim_tree_watch(&bench->model, &bench->fs);
	if (!options->session && !options->no_session)
		assert_int_equal(vqsim_fs_begin(&bench->fs, FS_BENCH_MINOR, FS_BENCH_FLAGS), 0);
}

uint64_t fs_bench_down(struct fs_bench *bench)
{
	return vqsim_fs_finish(&bench->fs);
}

static void free_all(struct fs_bench *bench)
{
	vqsim_guest_finish(&bench->guest);
	bench->device->ops->destroy(bench->device);
	bench->session->ops->destroy(bench->session);
	if (bench->tree)
		bench->tree->ops->destroy(bench->tree);
	vqsim_tree_finish(&bench->model);
	vqsim_referee_finish(&bench->referee);
	vqsim_memory_finish(&bench->memory);
	free(bench);
}

void fs_bench_destroy(struct fs_bench *bench)
{
	uint64_t left = fs_bench_down(bench), violations, bad = 0;
	bool intact = vqsim_memory_check(&bench->memory, &bad) == NULL;
	struct first_violation first;
	unsigned maps;

	vqsim_guest_reset(&bench->guest);
	maps = bench->memory.guest.map->refs;
	violations = bench->referee.violations;
	first = bench->first;
	free_all(bench);

	first_violation_fail(&first, violations);
	if (!intact)
		fail_msg("a canary changed at 0x%" PRIx64, bad);
	assert_int_equal(maps, 1);
	assert_int_equal(left, 0);
}
