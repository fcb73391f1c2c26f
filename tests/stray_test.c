/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device that touches memory which is not exposed to it, in a build with AddressSanitizer: the
 * process ends with the sanitizer's report and a violation that says what was near. What a
 * device may touch it can; in other builds it can touch all. Each access is made in a child,
 * through the device's mapping.
 */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/referee_fixture.h"

#include "devices/null/null.h"

#define PACKED VIRTIO_FEATURE(VIRTIO_F_RING_PACKED)
#define RESET  VIRTIO_FEATURE(VIRTIO_TRANSPORT_F_RING_RESET)

#define REPORT_SIZE 65536u

/* What becomes of a child that runs act: whether it ended well, and what it said. */
static bool survives(struct fixture *f, void (*act)(struct fixture *, uint64_t), uint64_t gpa,
		     char report[REPORT_SIZE])
{
	size_t size = 0;
	ssize_t got;
	int ends[2], status;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		act(f, gpa);
		_exit(0);
	}
	close(ends[1]);
	while ((got = read(ends[0], report + size, REPORT_SIZE - 1 - size)) > 0)
		size += (size_t)got;
	report[size] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static uint8_t *device_at(struct fixture *f, uint64_t gpa)
{
	struct guest_map *map = guest_memory_acquire(&f->memory.guest);
	uint8_t *at = guest_map_contiguous(map, gpa, 1, GUEST_READ_WRITE);

	guest_map_release(map);
	return at;
}

static void load(struct fixture *f, uint64_t gpa)
{
	(void)*(volatile uint8_t *)device_at(f, gpa);
}

static void store(struct fixture *f, uint64_t gpa)
{
	volatile uint8_t *at = device_at(f, gpa);

	*at = *at;
}

static void run(struct fixture *f, uint64_t gpa)
{
	(void)gpa;
	vqsim_guest_run(&f->guest, 0);
}

static void is_exposed(struct fixture *f, uint64_t gpa)
{
	char report[REPORT_SIZE];

	if (!survives(f, load, gpa, report))
		fail_msg("0x%llx: %s", (unsigned long long)gpa, report);
}

static void ends_with(struct fixture *f, void (*act)(struct fixture *, uint64_t), uint64_t gpa,
		      const char *clause, const char *says)
{
	char report[REPORT_SIZE];
	const char *line;

	if (!f->referee.loans) {
		assert_true(survives(f, act, gpa, report));
		return;
	}
	if (survives(f, act, gpa, report))
		fail_msg("0x%llx: nothing happened", (unsigned long long)gpa);
	assert_non_null(strstr(report, "AddressSanitizer: use-after-poison"));
	line = strstr(report, "\nviolation ");
	assert_non_null(line);
	assert_int_equal(strncmp(line + strlen("\nviolation "), clause, strlen(clause)), 0);
	if (!strstr(line, says))
		fail_msg("no '%s' in %.300s", says, line);
}

static void is_stray(struct fixture *f, uint64_t gpa, const char *clause, const char *says)
{
	ends_with(f, load, gpa, clause, says);
}

/* A guest with a chain that is available. */
static void make(struct fixture *f, uint64_t features, bool indirect)
{
	fixture_make_null(f, features);
	fixture_add(f, 0, indirect);
	vqsim_guest_publish(&f->guest, 0);
}

static void a_chain_is_exposed_from_publish_to_use(void **state)
{
	static const uint64_t features[] = {PLAIN, PACKED, INDIRECT, PACKED | INDIRECT};
	struct fixture f;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		const struct fixture_request *r = &f.requests[0];
		const char *footprint = features[i] & PACKED ? "PACKED-DX-07" : "SPLIT-D-16";

		make(&f, features[i], features[i] & INDIRECT);
		is_exposed(&f, r->header);
		is_exposed(&f, r->data);
		is_exposed(&f, r->data + FIXTURE_DATA_SIZE);
		if (features[i] & INDIRECT)
			is_exposed(&f, r->table + FIXTURE_TABLE_SIZE - 1);
		fixture_run(&f);
		is_stray(&f, r->header, footprint, "0 bytes in the readable buffer of id ");
		is_stray(&f, r->data + 5, footprint, "of queue 0, which was used already");
		if (features[i] & INDIRECT)
			is_stray(&f, r->table, footprint, ", 0 bytes in the indirect table of id ");
		fixture_finish(&f);
	}
}

static void beside_a_buffer_nothing_is_exposed(void **state)
{
	struct fixture f;

	(void)state;
	make(&f, PLAIN, false);
	is_stray(&f, f.requests[0].data + FIXTURE_DATA_SIZE + 1, "SPLIT-D-16",
		 ", 0 bytes behind the writable buffer of id 0 of queue 0");
	is_stray(&f, f.requests[0].header - 3, "SPLIT-D-16",
		 "3 bytes before the readable buffer of id 0");
	ends_with(&f, store, f.requests[0].header + NULL_HEADER_SIZE + 9, "SPLIT-D-16",
		  "9 bytes behind the readable buffer of id 0");
	/* What is laid out and not published is not exposed. */
	fixture_add(&f, 1, false);
	is_stray(&f, f.requests[1].header, "SPLIT-D-16",
		 "bytes behind the writable buffer of id 0");
	fixture_finish(&f);
}

/* The device uses one chain. */
static void run_one(struct fixture *f)
{
	struct vqsim_link *link = &f->guest.link;

	link->budget = 1;
	vqsim_referee_before_run(&f->referee, 0);
	vqsim_link_run(link, 0, 1);
	vqsim_referee_ran(&f->referee, 0, VIRTIO_WAITING, link->queues[0].notifications,
			  virtio_transport_status(&link->transport), 0);
}

static void a_buffer_of_two_chains_is_exposed_until_both_are_used(void **state)
{
	struct fixture f;

	(void)state;
	make(&f, PLAIN, false);
	f.requests[1] = f.requests[0];
	fixture_add(&f, 1, false);
	vqsim_guest_publish(&f.guest, 0);
	run_one(&f);
	assert_int_equal(le16toh(fixture_ring(&f)->used->idx), 1);
	is_exposed(&f, f.requests[0].header);
	run_one(&f);
	assert_int_equal(le16toh(fixture_ring(&f)->used->idx), 2);
	is_stray(&f, f.requests[0].header, "SPLIT-D-16", "which was used already");
	fixture_finish(&f);
}

static void a_ring_is_exposed_while_its_queue_lives(void **state)
{
	static const uint64_t features[] = {RESET, RESET | PACKED};
	struct fixture f;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct virtio_queue_setup s;

		make(&f, features[i], false);
		s = f.guest.queues[0].setup;
		is_exposed(&f, s.desc_gpa + 16u * s.size - 1);
		is_exposed(&f, s.driver_gpa);
		is_exposed(&f, s.device_gpa);
		is_stray(&f, s.desc_gpa + 16u * s.size, i ? "PACKED-DX-07" : "SPLIT-D-16",
			 i ? "0 bytes behind the descriptor ring"
			   : "0 bytes behind the descriptor table");
		vqsim_guest_queue_reset(&f.guest, 0);
		is_stray(&f, s.driver_gpa + 2, "VQRESET-D-01",
			 i ? "2 bytes in the driver area of queue 0, which was reset"
			   : "2 bytes in the available ring of queue 0, which was reset");
		assert_int_equal(vqsim_guest_queue_enable(&f.guest, 0, 8), VQSIM_UP);
		s = f.guest.queues[0].setup;
		is_exposed(&f, s.device_gpa);
		vqsim_guest_reset(&f.guest);
		is_stray(&f, s.device_gpa, "RESET-D-02", "");
		fixture_finish(&f);
	}
}

/* What it did wrong stands in a report of the run in which it did it. */
static void a_device_that_strays_is_stopped(void **state)
{
	struct fixture f;

	(void)state;
	fixture_make(&f, wrong_device_create(WRONG_BEYOND), PLAIN);
	fixture_add(&f, 0, false);
	vqsim_guest_publish(&f.guest, 0);
	ends_with(&f, run, 0, "SPLIT-D-16", "0 bytes behind the writable buffer of id 0");
	vqsim_referee_let_stray(&f.referee);
	fixture_run(&f);
	fixture_finish(&f);
}

static void of_a_ring_that_the_driver_broke_all_is_exposed(void **state)
{
	struct fixture f;

	(void)state;
	make(&f, PLAIN, false);
	fixture_ring(&f)->avail->idx = htole16(le16toh(fixture_ring(&f)->avail->idx) + 100);
	vqsim_referee_published(&f.referee, 0);
	is_exposed(&f, FIXTURE_EXTRA_GPA);
	vqsim_guest_reset(&f.guest);
	is_stray(&f, FIXTURE_EXTRA_GPA, "RESET-D-02", "");
	fixture_finish(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_is_exposed_from_publish_to_use),
		cmocka_unit_test(beside_a_buffer_nothing_is_exposed),
		cmocka_unit_test(a_buffer_of_two_chains_is_exposed_until_both_are_used),
		cmocka_unit_test(a_ring_is_exposed_while_its_queue_lives),
		cmocka_unit_test(a_device_that_strays_is_stopped),
		cmocka_unit_test(of_a_ring_that_the_driver_broke_all_is_exposed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
