/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Locks of guests: what is held after a random run is what the host's kernel holds after
 * the same one (open-file-description locks, which obey the rules of POSIX's); and who
 * waits for whom.
 */
#define _GNU_SOURCE /* F_OFD_SETLK */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "devices/fs/locks.h"

#define END_MAX (UINT64_MAX >> 1)
#define OWNERS  3u
#define SPAN    24u
#define STEPS   3000u

struct fixture {
	struct fs_lock_space space;
	struct fs_locks locks, other;
};

static struct fs_call call_for(uint64_t owner, uint32_t type, uint64_t start, uint64_t end)
{
	return (struct fs_call){
		.lock_owner = owner,
		.lock = {.start = start, .end = end, .type = type, .pid = (uint32_t)owner}};
}

static int set(struct fixture *f, uint64_t owner, uint32_t type, uint64_t start, uint64_t end)
{
	struct fs_call call = call_for(owner, type, start, end);

	return fs_locks_set(&f->space, &f->locks, &call);
}

static int set_flock(struct fixture *f, uint64_t owner, uint32_t type)
{
	struct fs_call call = call_for(owner, type, 0, END_MAX);

	call.flags = FS_FLOCK;
	return fs_locks_set(&f->space, &f->locks, &call);
}

/* A call that waits: it lives as long as it does. */
static int wait_on(struct fixture *f, struct fs_locks *locks, struct fs_call *call, uint64_t owner,
		   uint32_t type, uint64_t start, uint64_t end)
{
	*call = call_for(owner, type, start, end);
	call->flags = FS_LOCK_WAIT;
	return fs_locks_set(&f->space, locks, call);
}

static struct fs_lock get(const struct fixture *f, uint64_t owner, uint32_t type, uint64_t start,
			  uint64_t end)
{
	struct fs_call call = call_for(owner, type, start, end);

	fs_locks_get(&f->locks, &call);
	return call.lock;
}

static void assert_ready(struct fixture *f, const struct fs_call *call, int result)
{
	int r = 1;

	assert_ptr_equal(fs_locks_ready(&f->space, &r), call);
	if (call != NULL)
		assert_int_equal(r, result);
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct fixture));
	return *state == NULL;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_ready(f, NULL, 0);
	fs_locks_clear(&f->space, &f->locks);
	fs_locks_clear(&f->space, &f->other);
	assert_int_equal(f->space.held, 0);
	assert_null(f->space.waiters);
	free(f);
	return 0;
}

/* --- beside the host --- */

static uint32_t draw(uint64_t *random, uint32_t below)
{
	*random = *random * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(*random >> 33) % below;
}

static void open_host(int fd[OWNERS + 1])
{
	const char *tmp = getenv("TMPDIR");
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/fs_locks_test.XXXXXX", tmp != NULL ? tmp : "/tmp");
	fd[0] = mkstemp(path);
	assert_true(fd[0] >= 0);
	for (unsigned i = 1; i <= OWNERS; i++) {
		fd[i] = open(path, O_RDWR);
		assert_true(fd[i] >= 0);
	}
	unlink(path);
}

static int host_set(int fd, uint32_t type, uint64_t start, uint64_t end)
{
	struct flock lock = {
		.l_type = (short)type,
		.l_start = (off_t)start,
		.l_len = end == END_MAX ? 0 : (off_t)(end - start + 1),
	};

	return fcntl(fd, F_OFD_SETLK, &lock) == 0 ? 0 : -errno;
}

/* Whether a write lock of one byte would be refused, and by what. */
static uint32_t host_get(int fd, uint64_t at)
{
	struct flock lock = {.l_type = F_WRLCK, .l_start = (off_t)at, .l_len = 1};

	assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
	return (uint32_t)lock.l_type;
}

static void locks_are_held_as_on_the_host(void **state)
{
	static const uint32_t types[] = {F_RDLCK, F_WRLCK, F_UNLCK};
	struct fixture *f = *state;
	uint64_t random = 1;
	int fd[OWNERS + 1];

	open_host(fd);
	for (unsigned i = 0; i < STEPS; i++) {
		uint32_t owner = draw(&random, OWNERS), type = types[draw(&random, 3)];
		uint64_t start = draw(&random, SPAN), end = start + draw(&random, SPAN / 3);

		if (draw(&random, 10) == 0)
			end = END_MAX;
		assert_int_equal(set(f, owner, type, start, end),
				 host_set(fd[owner], type, start, end));
		for (unsigned by = 0; by <= OWNERS; by++)
			for (uint64_t at = 0; at < 2 * SPAN; at++)
				assert_int_equal(get(f, by, F_WRLCK, at, at).type,
						 host_get(fd[by], at));
	}
	for (unsigned i = 0; i <= OWNERS; i++)
		close(fd[i]);
}

/* --- what is held --- */

static void neighbours_become_one_and_come_apart(void **state)
{
	struct fixture *f = *state;
	struct fs_lock seen;

	assert_int_equal(set(f, 1, F_RDLCK, 0, 9), 0);
	assert_int_equal(set(f, 1, F_RDLCK, 20, 29), 0);
	assert_int_equal(f->space.held, 2);
	assert_int_equal(set(f, 1, F_RDLCK, 10, 19), 0);
	assert_int_equal(f->space.held, 1);
	assert_int_equal(set(f, 1, F_WRLCK, 5, 5), 0);
	assert_int_equal(f->space.held, 3);
	seen = get(f, 2, F_RDLCK, 0, END_MAX);
	assert_int_equal(seen.type, F_WRLCK);
	assert_int_equal(seen.start, 5);
	assert_int_equal(seen.end, 5);
	assert_int_equal(seen.pid, 1);
	seen = get(f, 2, F_WRLCK, 6, END_MAX);
	assert_int_equal(seen.start, 6);
	assert_int_equal(seen.end, 29);
	assert_int_equal(get(f, 1, F_WRLCK, 0, END_MAX).type, F_UNLCK);
	assert_int_equal(set(f, 1, F_UNLCK, 0, END_MAX), 0);
	assert_int_equal(f->space.held, 0);
}

static void what_cannot_be_a_lock_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set(f, 1, F_RDLCK, 5, 4), -EINVAL);
	assert_int_equal(set(f, 1, F_RDLCK, 0, END_MAX + 1), -EINVAL);
	assert_int_equal(set(f, 1, F_RDLCK, UINT64_MAX, UINT64_MAX), -EINVAL);
	assert_int_equal(set(f, 1, 77, 0, 0), -EINVAL);
	assert_int_equal(set_flock(f, 1, 77), -EINVAL);
}

static void there_are_at_most_held_max(void **state)
{
	struct fixture *f = *state;

	f->space.held_max = 2;
	assert_int_equal(set(f, 1, F_WRLCK, 0, 9), 0);
	assert_int_equal(set_flock(f, 1, F_WRLCK), 0);
	assert_int_equal(set(f, 2, F_WRLCK, 10, 19), -ENOLCK);
	assert_int_equal(set_flock(f, 2, F_UNLCK), 0);
	assert_int_equal(set(f, 1, F_UNLCK, 5, 5), 0);
	assert_int_equal(f->space.held, 3);
}

static void flock_is_apart_and_one_for_each_owner(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set(f, 1, F_WRLCK, 0, END_MAX), 0);
	assert_int_equal(set_flock(f, 2, F_RDLCK), 0);
	assert_int_equal(set_flock(f, 3, F_RDLCK), 0);
	assert_int_equal(set_flock(f, 4, F_WRLCK), -EAGAIN);
	/* flock(2): who cannot get the other type has lost what he had. */
	assert_int_equal(set_flock(f, 2, F_WRLCK), -EAGAIN);
	assert_int_equal(set_flock(f, 3, F_WRLCK), 0);
	assert_int_equal(set_flock(f, 3, F_WRLCK), 0);
	assert_int_equal(set_flock(f, 2, F_RDLCK), -EAGAIN);
	assert_int_equal(set_flock(f, 3, F_UNLCK), 0);
	assert_int_equal(set_flock(f, 2, F_WRLCK), 0);
	fs_locks_drop_flock(&f->space, &f->locks, 2);
	assert_int_equal(f->space.held, 1);
	fs_locks_drop_posix(&f->space, &f->locks, 1);
	assert_int_equal(f->space.held, 0);
}

/* --- who waits --- */

static void those_who_wait_go_on_in_their_order(void **state)
{
	struct fixture *f = *state;
	struct fs_call a, b, c, d;

	assert_int_equal(set(f, 1, F_WRLCK, 0, 9), 0);
	assert_int_equal(wait_on(f, &f->locks, &a, 2, F_RDLCK, 0, 4), FS_LATER);
	assert_int_equal(wait_on(f, &f->locks, &b, 3, F_WRLCK, 0, 4), FS_LATER);
	assert_int_equal(wait_on(f, &f->locks, &c, 4, F_RDLCK, 0, 4), FS_LATER);
	assert_int_equal(wait_on(f, &f->locks, &d, 5, F_WRLCK, 9, 9), FS_LATER);
	assert_ready(f, NULL, 0);
	assert_int_equal(set(f, 1, F_UNLCK, 0, 4), 0);
	assert_ready(f, &a, 0);
	assert_ready(f, &c, 0);
	assert_ready(f, NULL, 0);
	fs_locks_drop_posix(&f->space, &f->locks, 2);
	assert_ready(f, NULL, 0);
	fs_locks_drop_posix(&f->space, &f->locks, 4);
	assert_ready(f, &b, 0);
	fs_locks_drop_posix(&f->space, &f->locks, 1);
	assert_ready(f, &d, 0);
	assert_int_equal(get(f, 9, F_WRLCK, 0, 4).pid, 3);
	assert_int_equal(get(f, 9, F_WRLCK, 5, 9).pid, 5);
}

/* A granted lock that is weaker than what its owner had lets one go on who came before it. */
static void a_weaker_lock_lets_others_go_on(void **state)
{
	struct fixture *f = *state;
	struct fs_call reader, both;

	assert_int_equal(set(f, 1, F_WRLCK, 0, 4), 0);
	assert_int_equal(set(f, 2, F_WRLCK, 5, 9), 0);
	assert_int_equal(wait_on(f, &f->locks, &reader, 3, F_RDLCK, 0, 0), FS_LATER);
	assert_int_equal(wait_on(f, &f->locks, &both, 1, F_RDLCK, 0, 9), FS_LATER);
	assert_int_equal(set(f, 2, F_RDLCK, 5, 9), 0);
	assert_ready(f, &both, 0);
	assert_ready(f, &reader, 0);
}

static void flock_waits_too(void **state)
{
	struct fixture *f = *state;
	struct fs_call a = call_for(2, F_WRLCK, 0, 0), b = call_for(3, F_RDLCK, 0, 0);

	a.flags = b.flags = FS_FLOCK | FS_LOCK_WAIT;
	assert_int_equal(set_flock(f, 1, F_RDLCK), 0);
	assert_int_equal(fs_locks_set(&f->space, &f->locks, &a), FS_LATER);
	assert_int_equal(fs_locks_set(&f->space, &f->locks, &b), 0);
	assert_int_equal(set_flock(f, 1, F_UNLCK), 0);
	assert_ready(f, NULL, 0);
	fs_locks_drop_flock(&f->space, &f->locks, 3);
	assert_ready(f, &a, 0);
}

static void a_cancelled_call_ends_with_eintr_once(void **state)
{
	struct fixture *f = *state;
	struct fs_call a, b, c;

	assert_int_equal(set(f, 1, F_WRLCK, 0, 9), 0);
	assert_int_equal(wait_on(f, &f->locks, &a, 2, F_WRLCK, 0, 9), FS_LATER);
	assert_int_equal(wait_on(f, &f->locks, &b, 3, F_WRLCK, 0, 9), FS_LATER);
	assert_int_equal(wait_on(f, &f->locks, &c, 4, F_WRLCK, 0, 9), FS_LATER);
	fs_locks_cancel(&f->space, &b);
	fs_locks_cancel(&f->space, &b);
	assert_ready(f, &b, -EINTR);
	fs_locks_cancel(&f->space, &b);
	assert_int_equal(set(f, 1, F_UNLCK, 0, 9), 0);
	fs_locks_cancel(&f->space, &a);
	assert_ready(f, &a, 0);
	fs_locks_cancel(&f->space, &c);
	assert_ready(f, &c, -EINTR);
}

static void a_circle_is_refused(void **state)
{
	struct fixture *f = *state;
	struct fs_call a, b, c;

	assert_int_equal(set(f, 1, F_WRLCK, 0, 0), 0);
	assert_int_equal(set(f, 2, F_WRLCK, 1, 1), 0);
	a = call_for(3, F_WRLCK, 0, 0);
	assert_int_equal(fs_locks_set(&f->space, &f->other, &a), 0);
	assert_int_equal(wait_on(f, &f->locks, &a, 1, F_WRLCK, 1, 1), FS_LATER);
	assert_int_equal(wait_on(f, &f->other, &b, 2, F_WRLCK, 0, 0), FS_LATER);
	/* 3 would wait for 1, who waits for 2, who waits for 3 on another file. */
	assert_int_equal(wait_on(f, &f->locks, &c, 3, F_WRLCK, 0, 0), -EDEADLK);
	assert_int_equal(wait_on(f, &f->locks, &c, 4, F_WRLCK, 0, 0), FS_LATER);
	fs_locks_drop_posix(&f->space, &f->other, 3);
	assert_ready(f, &b, 0);
	fs_locks_drop_posix(&f->space, &f->locks, 2);
	assert_ready(f, &a, 0);
	fs_locks_drop_posix(&f->space, &f->locks, 1);
	assert_ready(f, &c, 0);
}

/* 1 and 2, which have several threads, wait for each other since 3 unlocked; 4 is not in it. */
static void a_circle_of_others_is_no_matter(void **state)
{
	struct fixture *f = *state;
	struct fs_call a, b, c, d;

	assert_int_equal(set(f, 2, F_WRLCK, 0, 0), 0);
	assert_int_equal(set(f, 3, F_WRLCK, 1, 1), 0);
	assert_int_equal(wait_on(f, &f->locks, &a, 1, F_WRLCK, 0, 0), FS_LATER);
	assert_int_equal(wait_on(f, &f->locks, &b, 1, F_WRLCK, 1, 1), FS_LATER);
	assert_int_equal(wait_on(f, &f->locks, &c, 2, F_WRLCK, 1, 1), FS_LATER);
	fs_locks_drop_posix(&f->space, &f->locks, 3);
	assert_ready(f, &b, 0);
	assert_int_equal(wait_on(f, &f->locks, &d, 4, F_WRLCK, 0, 0), FS_LATER);
	fs_locks_cancel(&f->space, &c);
	assert_ready(f, &c, -EINTR);
	fs_locks_drop_posix(&f->space, &f->locks, 2);
	assert_ready(f, &a, 0);
	fs_locks_drop_posix(&f->space, &f->locks, 1);
	assert_ready(f, &d, 0);
}

/* Who asks for another type stands behind those who wait. */
static void a_flock_that_changes_goes_to_who_waited(void **state)
{
	struct fixture *f = *state;
	struct fs_call a = call_for(2, F_WRLCK, 0, 0);

	a.flags = FS_FLOCK | FS_LOCK_WAIT;
	assert_int_equal(set_flock(f, 1, F_RDLCK), 0);
	assert_int_equal(fs_locks_set(&f->space, &f->locks, &a), FS_LATER);
	assert_int_equal(set_flock(f, 1, F_WRLCK), -EAGAIN);
	assert_ready(f, &a, 0);
}

static void an_upgrade_of_two_readers_is_a_circle(void **state)
{
	struct fixture *f = *state;
	struct fs_call a, b;

	assert_int_equal(set(f, 1, F_RDLCK, 0, 9), 0);
	assert_int_equal(set(f, 2, F_RDLCK, 0, 9), 0);
	assert_int_equal(wait_on(f, &f->locks, &a, 1, F_WRLCK, 0, 9), FS_LATER);
	assert_int_equal(wait_on(f, &f->locks, &b, 2, F_WRLCK, 0, 9), -EDEADLK);
	fs_locks_drop_posix(&f->space, &f->locks, 2);
	assert_ready(f, &a, 0);
	assert_int_equal(get(f, 2, F_RDLCK, 0, 9).type, F_WRLCK);
}

static void a_lock_for_which_there_is_no_room_any_more_is_told(void **state)
{
	struct fixture *f = *state;
	struct fs_call a;

	f->space.held_max = 2;
	assert_int_equal(set(f, 1, F_WRLCK, 0, 9), 0);
	assert_int_equal(wait_on(f, &f->locks, &a, 2, F_WRLCK, 0, 4), FS_LATER);
	assert_int_equal(set(f, 1, F_UNLCK, 2, 4), 0);
	assert_int_equal(set(f, 1, F_RDLCK, 0, 1), -ENOLCK);
	assert_ready(f, NULL, 0);
	f->space.held_max = 1;
	assert_int_equal(set(f, 1, F_UNLCK, 0, 1), 0);
	assert_ready(f, &a, -ENOLCK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(locks_are_held_as_on_the_host, setup, teardown),
		cmocka_unit_test_setup_teardown(neighbours_become_one_and_come_apart, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_a_lock_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(there_are_at_most_held_max, setup, teardown),
		cmocka_unit_test_setup_teardown(flock_is_apart_and_one_for_each_owner, setup,
						teardown),
		cmocka_unit_test_setup_teardown(those_who_wait_go_on_in_their_order, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_weaker_lock_lets_others_go_on, setup, teardown),
		cmocka_unit_test_setup_teardown(flock_waits_too, setup, teardown),
		cmocka_unit_test_setup_teardown(a_cancelled_call_ends_with_eintr_once, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_circle_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_circle_of_others_is_no_matter, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flock_that_changes_goes_to_who_waited, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_upgrade_of_two_readers_is_a_circle, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_lock_for_which_there_is_no_room_any_more_is_told,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
