/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The referee's model of status, features and config space, and its report of a
 * violation. Each test of a rule tells it of accesses that are right, then of one that is not.
 */
#define _GNU_SOURCE

#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/virtio_ids.h>

#include "devices/transport.h"
#include "tests/support/packed_pair.h"
#include "vqsim/referee/lifecycle.h"

#define ACKNOWLEDGE VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER      VIRTIO_CONFIG_S_DRIVER
#define FEATURES_OK VIRTIO_CONFIG_S_FEATURES_OK
#define DRIVER_OK   VIRTIO_CONFIG_S_DRIVER_OK

static void forget(void *opaque, const struct vqsim_violation *violation)
{
	(void)opaque;
	(void)violation;
}

static int set_up(void **state)
{
	static struct vqsim_referee referee;

	vqsim_referee_init(&referee, NULL);
	referee.sink = forget;
	*state = &referee;
	return 0;
}

static void status_reads_back(void **state)
{
	static const struct {
		uint8_t before, written, read;
		bool right;
	} rows[] = {
		{0, ACKNOWLEDGE, ACKNOWLEDGE, true},
		{ACKNOWLEDGE, ACKNOWLEDGE | DRIVER, ACKNOWLEDGE | DRIVER, true},
		{ACKNOWLEDGE, DRIVER, ACKNOWLEDGE | DRIVER, true},
		{3, 3 | FEATURES_OK, 3 | FEATURES_OK, true},
		{3, 3 | FEATURES_OK, 3, true},
		{3, 3 | DRIVER_OK, 3, true},
		{11, 15, 15, true},
		{11, 15, 15 | VIRTIO_STATUS_NEEDS_RESET, true},
		{15, 0, 0, true},
		{0, ACKNOWLEDGE, 0, false},
		{ACKNOWLEDGE, ACKNOWLEDGE | DRIVER, DRIVER, false},
		{ACKNOWLEDGE, ACKNOWLEDGE | DRIVER, 3 | 128, false},
		{3, 3 | DRIVER_OK, 3 | DRIVER_OK, false},
		{15, 15 | 128, 3 | 128, false},
		{15, 0, 1, false},
	};
	struct vqsim_referee *r = *state;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t before = r->counts[VQSIM_RULE_STATUS_BITS];

		r->status = rows[i].before;
		vqsim_referee_status_written(r, rows[i].written, rows[i].read);
		assert_int_equal(r->counts[VQSIM_RULE_STATUS_BITS] - before, !rows[i].right);
	}
	vqsim_referee_status_fresh(r, 0);
	assert_int_equal(r->counts[VQSIM_RULE_STATUS_FRESH], 0);
	vqsim_referee_status_fresh(r, 1);
	assert_int_equal(r->counts[VQSIM_RULE_STATUS_FRESH], 1);
}

static void offer_is_constant_until_a_reset(void **state)
{
	struct vqsim_referee *r = *state;

	vqsim_referee_offered(r, 5);
	vqsim_referee_offered(r, 5);
	vqsim_referee_status_written(r, 0, 0);
	vqsim_referee_offered(r, 4);
	assert_int_equal(r->violations, 0);
	vqsim_referee_offered(r, 5);
	assert_int_equal(r->counts[VQSIM_RULE_FEATURES_OFFER], 1);
}

static void features_that_stick(void **state)
{
	struct vqsim_referee *r = *state;

	vqsim_referee_offered(r, 7);
	vqsim_referee_features_written(r, 8, false);
	vqsim_referee_features_written(r, 2, false);
	vqsim_referee_features_written(r, 3, true);
	assert_int_equal(r->violations, 0);
	vqsim_referee_features_written(r, 3, false);
	assert_int_equal(r->counts[VQSIM_RULE_FEATURES_REFUSED], 1);
	vqsim_referee_features_written(r, 9, true);
	assert_int_equal(r->counts[VQSIM_RULE_FEATURES_ACCEPTED], 1);
	assert_int_equal(r->violations, 2);
}

static void config_changes_with_its_generation(void **state)
{
	struct vqsim_referee *r = *state;

	vqsim_referee_config_read(r, 4, "abcd", 4, 0, 0);
	vqsim_referee_config_read(r, 6, "cdef", 4, 0, 0);
	vqsim_referee_config_written(r, 4, 1);
	vqsim_referee_config_read(r, 4, "xbcd", 4, 0, 0);
	vqsim_referee_config_read(r, 4, "yyyy", 4, 1, 0);
	vqsim_referee_config_read(r, 8, "yy", 2, 1, 0);
	vqsim_referee_config_read(r, 254, "12345678", 8, 1, 0);
	vqsim_referee_config_read(r, 0xffffffff, "12345678", 8, 1, 0);
	assert_int_equal(r->violations, 0);
	vqsim_referee_config_read(r, 5, "z", 1, 1, 0);
	assert_int_equal(r->counts[VQSIM_RULE_CONFIG_GENERATION], 1);
	assert_int_equal(r->violations, 1);
}

static void config_change_is_announced(void **state)
{
	struct vqsim_referee *r = *state;

	vqsim_referee_config_read(r, 0, "a", 1, 0, 0);
	r->status = 15;
	vqsim_referee_config_read(r, 0, "b", 1, 1, 0);
	vqsim_referee_config_read(r, 0, "c", 1, 2, 1);
	assert_int_equal(r->violations, 0);
	vqsim_referee_config_read(r, 0, "d", 1, 3, 1);
	assert_int_equal(r->counts[VQSIM_RULE_CONFIG_NOTIFY], 1);
	assert_int_equal(r->violations, 1);
}

/* One rule may be a clause of each format, of a feature of the ring, or of the device type. */
static void a_rule_has_the_clause_of_ring_and_device(void **state)
{
	static const uint64_t event = VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX);
	static const uint64_t packed = VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);
	static const struct {
		enum vqsim_rule rule;
		const char *split, *with_event, *in_packed, *of_blk;
	} rows[] = {
		{VQSIM_RULE_KICK_LOST, "SPLIT-D-19", "SPLIT-D-21", "PACKED-D-11", "SPLIT-D-19"},
		{VQSIM_RULE_USED_FLAGS, "SPLIT-D-18", "SPLIT-D-20", "SPLIT-D-18", "SPLIT-D-18"},
		{VQSIM_RULE_CHAIN_LOST, "SPLIT-DX-02", "SPLIT-DX-02", "PACKED-DX-05", "BLK-DX-11"},
		{VQSIM_RULE_PROGRESS, "SPLIT-DX-02", "SPLIT-DX-02", "PACKED-DX-05", "BLK-DX-11"},
		{VQSIM_RULE_USED_ID, "SPLIT-DX-02", "SPLIT-DX-02", "PACKED-DX-08", "SPLIT-DX-02"},
	};
	struct vqsim_referee *r = *state;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		r->device_id = 0;
		r->features = 0;
		assert_string_equal(vqsim_referee_clause(r, rows[i].rule), rows[i].split);
		r->features = event;
		assert_string_equal(vqsim_referee_clause(r, rows[i].rule), rows[i].with_event);
		r->features = event | packed;
		assert_string_equal(vqsim_referee_clause(r, rows[i].rule), rows[i].in_packed);
		r->features = 0;
		r->device_id = VIRTIO_ID_BLOCK;
		assert_string_equal(vqsim_referee_clause(r, rows[i].rule), rows[i].of_blk);
		r->violations = 0;
		vqsim_referee_violation(r, rows[i].rule, 0, "seen");
		assert_string_equal(r->first.clause, rows[i].of_blk);
		assert_string_equal(r->first.text, vqsim_rules[rows[i].rule].text);
	}
}

/* The whole of what a stream holds, in a buffer of the test. */
static const char *text_of(FILE *file)
{
	static char text[16384];
	size_t size;

	rewind(file);
	size = fread(text, 1, sizeof(text) - 1, file);
	text[size] = 0;
	fclose(file);
	return text;
}

/* What a person gets who runs a device that never toggles its wrap counter. */
static const char *report(void)
{
	struct packed_pair p;
	FILE *out = tmpfile();

	assert_non_null(out);
	pair_make(&p, 3, 0, PAIR_NO_TOGGLE);
	p.referee.replay_hint = "the test above";
	for (uint16_t i = 0; i < 4; i++) {
		pair_add(&p, 100 + i, 0, 1, false);
		pair_run(&p);
	}
	assert_int_equal(p.referee.violations, 1);
	vqsim_referee_print(&p.referee, &p.referee.first, out);
	pair_finish(&p);
	return text_of(out);
}

static void report_shows_steps_and_ring(void **state)
{
	const char *text;

	(void)state;
	unsetenv("VQSIM_VIOLATIONS");
	text = report();
	assert_non_null(strstr(text, "violation PACKED-DX-04: in a used descriptor"));
	assert_non_null(strstr(text, "slot 0 was written with AVAIL 1, USED 1; the wrap counter "
				     "is 0"));
	assert_non_null(strstr(text, "queue 0: used id 102 len 8\n"));
	assert_non_null(strstr(text, "queue 0: published 103, 8 bytes writable\n"));
	assert_non_null(strstr(text, "replay: the test above\n"));
	assert_non_null(strstr(text, "descriptor ring"));
	assert_non_null(strstr(text, "next of the device, wrap 0"));
}

static void report_draws_a_picture(void **state)
{
	char folder[] = "/tmp/vqsim-XXXXXX", name[256];
	const char *text, *picture;
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(folder));
	setenv("VQSIM_VIOLATIONS", folder, 1);
	text = report();
	unsetenv("VQSIM_VIOLATIONS");
	picture = strstr(text, "picture: ");
	assert_non_null(picture);
	assert_int_equal(sscanf(picture, "picture: %255s", name), 1);
	assert_memory_equal(name, folder, strlen(folder));
	file = fopen(name, "r");
	assert_non_null(file);
	text = text_of(file);
	assert_memory_equal(text, "<svg ", 5);
	assert_non_null(strstr(text, ">PACKED-DX-04<"));
	assert_non_null(strstr(text, ">id 103<"));
	assert_non_null(strstr(text, "</svg>"));
	unlink(name);
	rmdir(folder);
}

static void report_falls_back_to_text(void **state)
{
	(void)state;
	setenv("VQSIM_VIOLATIONS", "/proc/none/of/it", 1);
	assert_non_null(strstr(report(), "descriptor ring"));
	unsetenv("VQSIM_VIOLATIONS");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(status_reads_back, set_up),
		cmocka_unit_test_setup(offer_is_constant_until_a_reset, set_up),
		cmocka_unit_test_setup(features_that_stick, set_up),
		cmocka_unit_test_setup(config_changes_with_its_generation, set_up),
		cmocka_unit_test_setup(config_change_is_announced, set_up),
		cmocka_unit_test_setup(a_rule_has_the_clause_of_ring_and_device, set_up),
		cmocka_unit_test(report_shows_steps_and_ring),
		cmocka_unit_test(report_draws_a_picture),
		cmocka_unit_test(report_falls_back_to_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
