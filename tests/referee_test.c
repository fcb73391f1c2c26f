/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each rule of the referee fires on a device that breaks it, and on no other one.
 * The last test sees to it that no rule of a split ring was left out.
 */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/referee_fixture.h"
#include "vqsim/guest_blk.h"

static uint64_t rules_shown;

static void show(const struct fixture *f, uint64_t rules)
{
	fixture_assert_broken(f, rules);
	rules_shown |= rules;
}

/* What whoever laid out the buffers does. */
static void look_at_canaries(struct fixture *f)
{
	uint64_t bad;

	if (vqsim_memory_check(&f->memory, &bad))
		vqsim_referee_violation(&f->referee, VQSIM_RULE_FOOTPRINT, 0, "gpa 0x%llx",
					(unsigned long long)bad);
}

/* A batch of two, a run with nothing to do, one more, then one that no notification is wanted for. */
static void exercise(struct fixture *f)
{
	bool indirect = f->guest.features & INDIRECT;

	fixture_add(f, 0, false);
	fixture_add(f, 1, indirect);
	fixture_run(f);
	fixture_run(f);
	fixture_add(f, 2, indirect);
	fixture_run(f);
	vqsim_referee_before_run(&f->referee, 0);
	vqsim_driver_set_notify(&f->guest.queues[0], VQSIM_NOTIFY_NEVER);
	fixture_add(f, 3, false);
	fixture_run(f);
	look_at_canaries(f);
}

static const uint64_t feature_sets[] = {PLAIN, EVENT, INDIRECT, EVENT | INDIRECT};

static void right_device_breaks_no_rule(void **state)
{
	struct fixture f;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		fixture_make_wrong(&f, WRONG_NOTHING, feature_sets[i]);
		exercise(&f);
		show(&f, 0);
		fixture_finish(&f);
		fixture_make_null(&f, feature_sets[i]);
		exercise(&f);
		show(&f, 0);
		fixture_finish(&f);
	}
}

static void right_device_breaks_no_rule_when_indices_wrap(void **state)
{
	struct fixture f;

	(void)state;
	fixture_make_null(&f, EVENT | INDIRECT);
	for (unsigned i = 0; i < 0x10000 / 4 + 8; i++) {
		for (unsigned j = 0; j < 4; j++)
			fixture_add(&f, j, true);
		fixture_run(&f);
	}
	show(&f, 0);
	fixture_finish(&f);
}

static void right_device_breaks_no_rule_over_resets(void **state)
{
	const struct vqsim_guest_config config = {.queue_size = FIXTURE_QUEUE_SIZE};
	struct fixture f;

	(void)state;
	fixture_make_null(&f, EVENT);
	for (unsigned i = 0; i < 3; i++) {
		fixture_add(&f, 0, false);
		fixture_run(&f);
		fixture_add(&f, 1, false);
		vqsim_guest_publish(&f.guest, 0);
		assert_int_equal(vqsim_guest_bring_up(&f.guest, &config), VQSIM_UP);
	}
	show(&f, 0);
	fixture_finish(&f);
}

static const struct {
	enum wrong_fault fault;
	uint64_t features;
	uint64_t rules; /* the planted one, and what cannot but follow */
} faults[] = {
	{WRONG_ID, PLAIN, RULE(USED_ID) | RULE(CHAIN_LOST)},
	{WRONG_ID_RANGE, PLAIN, RULE(USED_ID) | RULE(CHAIN_LOST)},
	{WRONG_ID_TWICE, PLAIN, RULE(USED_ID) | RULE(CHAIN_LOST)},
	{WRONG_LEN_LARGE, PLAIN, RULE(USED_LEN)},
	{WRONG_LEN_LARGE, EVENT | INDIRECT, RULE(USED_LEN)},
	{WRONG_LEN_SMALL, PLAIN, RULE(USED_LEN_EXACT)},
	{WRONG_INDEX_JUMP, PLAIN, RULE(USED_INDEX)},
	{WRONG_INDEX_BACK, PLAIN, RULE(USED_INDEX)},
	{WRONG_FLAGS, PLAIN, RULE(USED_FLAGS)},
	{WRONG_FLAGS, EVENT, RULE(USED_FLAGS)},
	{WRONG_FLAGS_NONZERO, EVENT, RULE(USED_FLAGS)},
	{WRONG_FLAGS_NONZERO, PLAIN, RULE(KICK_LOST)},

	{WRONG_NO_NOTIFICATION, PLAIN, RULE(NOTIFY_MISSING)},
	{WRONG_NO_NOTIFICATION, EVENT, RULE(EVENT_MISSING)},
	{WRONG_MUCH_NOTIFICATION, PLAIN, RULE(NOTIFY_EXCESS)},
	{WRONG_MUCH_NOTIFICATION, EVENT, RULE(EVENT_EXCESS)},
	{WRONG_IDLE_NOTIFICATION, PLAIN, RULE(NOTIFY_EXCESS)},
	{WRONG_IDLE_NOTIFICATION, EVENT, RULE(EVENT_EXCESS)},
	{WRONG_MANY_NOTIFICATIONS, PLAIN, RULE(NOTIFY_EXCESS)},
	{WRONG_MANY_NOTIFICATIONS, EVENT, RULE(EVENT_EXCESS)},
	{WRONG_EARLY_NOTIFICATION, PLAIN, RULE(EARLY_NOTIFY)},

	{WRONG_AVAIL_INDEX, PLAIN, RULE(AVAIL_WRITTEN)},
	{WRONG_AVAIL_SLOT, PLAIN, RULE(AVAIL_WRITTEN)},
	{WRONG_DESC, PLAIN, RULE(DESC_WRITTEN)},
	{WRONG_TABLE, INDIRECT, RULE(DESC_WRITTEN)},
	{WRONG_TABLE, PLAIN, 0},
	{WRONG_AVAIL_EVENT, PLAIN, RULE(AVAIL_EVENT)},
	{WRONG_READABLE, PLAIN, RULE(READABLE_WRITTEN)},
	{WRONG_READABLE, INDIRECT, RULE(READABLE_WRITTEN)},
	{WRONG_BEYOND, PLAIN, RULE(FOOTPRINT)},
	{WRONG_BEYOND_RING, PLAIN, RULE(FOOTPRINT)},

	{WRONG_DROP, PLAIN, RULE(CHAIN_LOST)},
	{WRONG_DROP, EVENT, RULE(CHAIN_LOST)},
	{WRONG_NO_REARM, EVENT, RULE(KICK_LOST)},
	{WRONG_NO_REARM, PLAIN, 0},
	{WRONG_ENDLESS, PLAIN, RULE(PROGRESS)},
	{WRONG_NEEDS_RESET, PLAIN, RULE(NEEDLESS_RESET)},
};

static void planted_fault_breaks_its_rule(void **state)
{
	struct fixture f;

	(void)state;
	for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		fixture_make_wrong(&f, faults[i].fault, faults[i].features);
		exercise(&f);
		if (fixture_rules_broken(&f) != faults[i].rules)
			print_error("row %u, fault %u\n", i, faults[i].fault);
		show(&f, faults[i].rules);
		fixture_finish(&f);
	}
}

static void used_before_driver_ok(void **state)
{
	struct fixture f;

	(void)state;
	fixture_make_null(&f, PLAIN);
	vqsim_referee_set_up(&f.referee, 0, &f.guest.queues[0].setup, 1);
	vqsim_referee_before_driver_ok(&f.referee, 0, 0);
	show(&f, 0);
	fixture_ring(&f)->used->idx = htole16(1);
	vqsim_referee_before_driver_ok(&f.referee, 0, 0);
	show(&f, RULE(EARLY_USE));
	fixture_finish(&f);
}

static void run_before_driver_ok(void **state)
{
	struct fixture f;

	(void)state;
	fixture_make_null(&f, PLAIN);
	fixture_add(&f, 0, false);
	vqsim_referee_published(&f.referee, 0);
	fixture_ring(&f)->used->idx = htole16(0);
	vqsim_referee_ran(&f.referee, 0, VIRTIO_IDLE, 0, VIRTIO_CONFIG_S_FEATURES_OK, 0);
	show(&f, 0);
	vqsim_referee_ran(&f.referee, 0, VIRTIO_IDLE, 1, VIRTIO_CONFIG_S_FEATURES_OK, 0);
	show(&f, RULE(EARLY_NOTIFY));
	fixture_finish(&f);
}

#define STATUS_BROKEN (VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET)

static void reset_is_asked_for_with_a_config_notification(void **state)
{
	struct fixture f;

	(void)state;
	fixture_make_null(&f, PLAIN);
	f.referee.reset_excused = true;
	vqsim_referee_ran(&f.referee, 0, VIRTIO_IDLE, 0, STATUS_BROKEN, 1);
	show(&f, 0);
	f.referee.needs_reset = false;
	vqsim_referee_ran(&f.referee, 0, VIRTIO_IDLE, 0, STATUS_BROKEN, 1);
	show(&f, RULE(RESET_SILENT));
	fixture_finish(&f);
}

static void notification_after_a_reset(void **state)
{
	struct fixture f;

	(void)state;
	fixture_make_null(&f, PLAIN);
	/* Three came while the reset was under way: allowed, then and at the next set-up. */
	vqsim_referee_was_reset(&f.referee, 3);
	vqsim_referee_after_reset(&f.referee, 3);
	vqsim_referee_set_up(&f.referee, 0, &f.guest.queues[0].setup, 1);
	vqsim_referee_before_driver_ok(&f.referee, 0, 3);
	show(&f, 0);
	vqsim_referee_was_reset(&f.referee, 3);
	vqsim_referee_after_reset(&f.referee, 4);
	show(&f, RULE(AFTER_RESET));
	fixture_finish(&f);
}

static void completion_after_a_reset(void **state)
{
	struct fixture f;

	(void)state;
	fixture_make_wrong(&f, WRONG_NOTHING, PLAIN);
	fixture_add(&f, 0, false);
	fixture_run(&f);
	vqsim_link_reset(&f.guest.link);
	vqsim_referee_was_reset(&f.referee, 1);
	wrong_device_complete_late(f.device);
	vqsim_referee_after_reset(&f.referee, 1);
	show(&f, RULE(AFTER_RESET));
	fixture_finish(&f);
}

static const struct {
	enum wrong_fault fault;
	uint64_t rules;
} answers[] = {
	{WRONG_NOTHING, 0},
	{WRONG_NO_STATUS, RULE(STATUS)},
	{WRONG_DATA, RULE(DATA)},
};

/*
 * The wrong device answers a read of a block driver with bytes that count on from the first one of
 * the header, which is 0: as if every sector held 0 to 255 twice.
 */
static void block_driver_looks_at_status_and_data(void **state)
{
	uint8_t image[512 * WRONG_DEVICE_SECTORS];
	struct fixture f;

	(void)state;
	for (unsigned i = 0; i < sizeof(image); i++)
		image[i] = (uint8_t)i;
	for (unsigned i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct vqsim_blk_request request = {.type = 0};
		struct vqsim_disk disk;
		struct vqsim_blk blk;

		fixture_make_wrong(&f, answers[i].fault, VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH));
		assert_int_equal(vqsim_disk_init(&disk, &f.referee, sizeof(image)), 0);
		vqsim_disk_know(&disk, 0, image, sizeof(image));
		vqsim_blk_init(&blk, &f.guest, &disk);
		assert_int_equal(vqsim_blk_request_init(&blk, &request, 1024), 0);
		request.type = VIRTIO_BLK_T_IN;
		request.sector = 3;
		request.data_size = 1024;
		vqsim_blk_do(&blk, 0, &request);
		show(&f, answers[i].rules);
		vqsim_blk_request_finish(&request);
		vqsim_disk_finish(&disk);
		fixture_finish(&f);
	}
}

static void loss_of_flushed_data(void **state)
{
	uint8_t image[1024] = {0}, data[512] = "kept";
	struct vqsim_disk_request write = {VQSIM_DISK_WRITE, .sector = 1, .count = 1, .data = data};
	struct vqsim_disk_request flush = {.op = VQSIM_DISK_FLUSH};
	struct vqsim_disk disk;
	struct fixture f;

	(void)state;
	fixture_make_null(&f, PLAIN);
	assert_int_equal(vqsim_disk_init(&disk, &f.referee, sizeof(image)), 0);
	vqsim_disk_start(&disk, &write);
	vqsim_disk_done(&disk, &write, true, 0);
	vqsim_disk_start(&disk, &flush);
	vqsim_disk_done(&disk, &flush, true, 0);
	memcpy(image + 512, data, sizeof(data));
	assert_int_equal(vqsim_disk_check_durable(&disk, image), 0);
	image[515] ^= 1;
	assert_int_equal(vqsim_disk_check_durable(&disk, image), 1);
	show(&f, RULE(DURABLE));
	vqsim_disk_finish(&disk);
	fixture_finish(&f);
}

/* Without a sink: 16 lines, then one that says that there are more. */
static void violations_are_printed_until_it_is_enough(void **state)
{
	struct vqsim_referee referee;
	FILE *out = tmpfile();
	int saved = dup(STDERR_FILENO), lines = 0;
	char line[256], first[256];

	(void)state;
	assert_non_null(out);
	vqsim_referee_init(&referee, NULL);
	referee.step = 17;
	dup2(fileno(out), STDERR_FILENO);
	for (unsigned i = 0; i < 40; i++)
		vqsim_referee_violation(&referee, VQSIM_RULE_USED_ID, 2, "id %u", 9 + i);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(out);
	assert_non_null(fgets(first, sizeof(first), out));
	assert_string_equal(first, "violation SPLIT-DX-02: used id is the name of a chain that is "
				   "available and not yet used; queue 2, step 17: id 9\n");
	while (fgets(line, sizeof(line), out))
		lines++;
	assert_int_equal(lines, 19); /* three say what replays them */
	assert_string_equal(line, "violation: more follow, not printed\n");
	assert_int_equal(referee.violations, 40);
	fclose(out);
	vqsim_referee_finish(&referee);
}

/*
 * Those behind it have tests of their own: referee_packed_test, referee_order_test,
 * referee_life_test, guest_fs_check_test.
 */
#define RULES_HERE (VQSIM_RULE_DURABLE + 1)

static void every_rule_was_broken_by_some_test(void **state)
{
	(void)state;
	for (unsigned i = 0; i < RULES_HERE; i++) {
		assert_non_null(vqsim_rules[i].clause);
		assert_non_null(vqsim_rules[i].text);
		if (!(rules_shown >> i & 1))
			print_error("%s: %s\n", vqsim_rules[i].clause, vqsim_rules[i].text);
	}
	assert_int_equal(rules_shown, (UINT64_C(1) << RULES_HERE) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_device_breaks_no_rule),
		cmocka_unit_test(right_device_breaks_no_rule_when_indices_wrap),
		cmocka_unit_test(right_device_breaks_no_rule_over_resets),
		cmocka_unit_test(planted_fault_breaks_its_rule),
		cmocka_unit_test(used_before_driver_ok),
		cmocka_unit_test(run_before_driver_ok),
		cmocka_unit_test(reset_is_asked_for_with_a_config_notification),
		cmocka_unit_test(notification_after_a_reset),
		cmocka_unit_test(completion_after_a_reset),
		cmocka_unit_test(block_driver_looks_at_status_and_data),
		cmocka_unit_test(loss_of_flushed_data),
		cmocka_unit_test(violations_are_printed_until_it_is_enough),
		cmocka_unit_test(every_rule_was_broken_by_some_test),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
