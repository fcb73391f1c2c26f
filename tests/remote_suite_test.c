/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the suite says of a device in another process: wrong ones are caught, at every point, and
 * what nobody can see is not called passed.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "devices/serve/vhost_user_wire.h"
#include "tests/support/fake_backend.h"
#include "tests/support/served.h"
#include "tests/support/vhost_relay.h"
#include "vqsim/suite/suite.h"

/* What came of one case. */
struct tally {
	unsigned counts[VQSIM_RESULT_COUNT];
	char clause[24]; /* of the first failure */
	char text[512];
};

static void count(void *opaque, const struct vqsim_outcome *outcome)
{
	struct tally *tally = opaque;

	if (tally->counts[outcome->result]++ == 0) {
		snprintf(tally->clause, sizeof(tally->clause), "%s", outcome->clause);
		snprintf(tally->text, sizeof(tally->text), "%s", outcome->text);
	}
}

/* On a disk of `vqsim serve`, with the relay between. */
static struct tally check(enum vhost_relay_fault fault, const char *name, const char *point)
{
	struct vhost_relay relay = {.fault = fault, .path = "relay", .backend = "s"};
	const struct vqsim_filter filter = {.pattern = name, .point = point};
	struct tally tally = {.text = ""};
	struct vqsim_totals totals = {{0}};
	struct vqsim_subject subject;
	struct served served;

	SERVED(&served, "blk", "--store", "ram:1M", "--socket", "s");
	vhost_relay_start(&relay);
	assert_int_equal(vqsim_subject_remote_init(&subject, "vhost-user:relay", NULL, NULL), 0);
	assert_int_equal(vqsim_suite_run(&subject, &filter, count, &tally, &totals), 0);
	vqsim_subject_finish(&subject);
	vhost_relay_finish(&relay);
	assert_int_equal(served_end(&served, SIGTERM), 0);
	return tally;
}

static void expect_passed(const struct tally *tally)
{
	if (tally->counts[VQSIM_FAILED])
		fail_msg("%s: %s", tally->clause, tally->text);
	assert_true(tally->counts[VQSIM_PASSED] > 0);
}

static void expect_failed(const struct tally *tally, const char *clause)
{
	assert_int_equal(tally->counts[VQSIM_PASSED], 0);
	assert_true(tally->counts[VQSIM_FAILED] > 0);
	assert_string_equal(tally->clause, clause);
}

static void a_relay_changes_nothing(void **state)
{
	struct tally tally = check(RELAY_RIGHT, "reset_*", "*,direct,1x16");

	(void)state;
	expect_passed(&tally);
	assert_int_equal(tally.counts[VQSIM_NOT_OBSERVABLE], 0);
}

static void rings_that_outlive_a_reset(void **state)
{
	struct tally tally = check(RELAY_DEAF, "reset_leaves_alone", "*,direct,1x16");

	(void)state;
	expect_failed(&tally, "RESET-D-02");
	tally = check(RELAY_DEAF, "reset_forgets_rings", "*,direct,1x16");
	expect_failed(&tally, "RESET-DX-01");
}

static void a_status_that_outlives_a_reset(void **state)
{
	struct tally tally = check(RELAY_STATUS_STAYS, "reset_from_every_state", "split,*,1x16");

	(void)state;
	expect_failed(&tally, "RESET-D-01");
}

/* Without STATUS the one that is read is the frontend's. */
static void a_status_that_nobody_keeps(void **state)
{
	struct tally tally = check(RELAY_DEAF, "reset_from_every_state", "*");

	(void)state;
	assert_int_equal(tally.counts[VQSIM_NOT_OBSERVABLE], 1);
	assert_string_equal(tally.text, "the backend keeps no status byte");
	assert_int_equal(tally.counts[VQSIM_PASSED] + tally.counts[VQSIM_FAILED], 0);
}

/* What a backend does not have of the protocol decides what can be said of it. */
static void what_is_hidden_is_known(void **state)
{
	static const struct {
		uint64_t protocol;
		bool no_config, no_status, no_answer;
	} rows[] = {
		{VIRTIO_FEATURE(VHOST_USER_PROTOCOL_F_MQ), true, true, true},
		{VIRTIO_FEATURE(VHOST_USER_PROTOCOL_F_CONFIG), false, true, true},
		{VIRTIO_FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK), true, true, false},
		{VIRTIO_FEATURE(VHOST_USER_PROTOCOL_F_STATUS), true, false, false},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_backend backend = {.protocol_features = rows[i].protocol};
		struct vqsim_subject subject;
		char name[80];

		fake_backend_start(&backend);
		snprintf(name, sizeof(name), "vhost-user:%s", backend.path);
		assert_int_equal(vqsim_subject_remote_init(&subject, name, NULL, NULL), 0);
		assert_int_equal(subject.no_config, rows[i].no_config);
		assert_int_equal(subject.no_status, rows[i].no_status);
		assert_int_equal(subject.no_answer, rows[i].no_answer);
		vqsim_subject_finish(&subject);
		fake_backend_finish(&backend);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_relay_changes_nothing),
		cmocka_unit_test(rings_that_outlive_a_reset),
		cmocka_unit_test(a_status_that_outlives_a_reset),
		cmocka_unit_test(a_status_that_nobody_keeps),
		cmocka_unit_test(what_is_hidden_is_known),
	};

	setenv("VQSIM_VIOLATIONS", "", 1);
	return cmocka_run_group_tests(tests, command_setup, command_teardown);
}
