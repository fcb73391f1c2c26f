/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls drawn at random, through driver, rings, device and decoder to a tree: every reply is what
 * the model of a file system says (vqsim/referee/tree.h). On a directory of the host the same
 * calls made directly have the same results, and what is there in the end is what the model has.
 *
 * A list that shows a fault is made as short as it can be and printed. VQSIM_RANDOM_RUNS=N
 * draws N lists instead of as many as are done in a moment.
 */
#define _GNU_SOURCE /* nftw, RENAME_WHITEOUT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/bench.h"
#include "tests/support/fs_bench.h"
#include "tests/support/fs_player.h"
#include "vqsim/referee/tree.h"

#define STEPS 3500u

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(HAS_ASAN)
#define HAS_ASAN
#endif

/* 100 000 steps; fewer where each costs more. */
#ifdef HAS_ASAN
#define RUNS 10u
#else
#define RUNS 40u
#endif

#define NOBODY 65534u

static const struct fs_caller callers[FS_CALLERS] = {
	{0, 0, 0, 0}, {1000, 1000, 0, 0}, {1001, 1000, 022, 1002}, {1002, 1002, 077, 0}};
static const struct fs_caller nobody[FS_CALLERS] = {{NOBODY, NOBODY, 0, 0},
						    {NOBODY, NOBODY, 0, 0},
						    {NOBODY, NOBODY, 0, 0},
						    {NOBODY, NOBODY, 0, 0}};

struct run {
	uint64_t seed;
	bool on_host;                    /* a dir tree, beside plain calls; otherwise a ram tree */
	const struct fs_caller *callers; /* all one: as an ordinary user */
	char dir[64], mirror[64];
	struct fs_bench *bench;
	struct fs_player player;
	struct fs_host host;
	bool on_disk;
	uint64_t judged, learned;
	uint64_t done;   /* steps */
	char words[512]; /* of the fault */
	char kind[24];   /* how the words must begin, for it to be the same one */
};

/* --- folders --- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	return ftw->level > 0 ? remove(path) : 0;
}

/* Modes of directories may keep their owner out. */
static int open_up(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return type == FTW_D || type == FTW_DNR ? chmod(path, 0755) : 0;
}

static void wipe(const char *dir)
{
	for (unsigned i = 0; i < 16 && geteuid() != 0; i++)
		nftw(dir, open_up, 16, FTW_PHYS);
	nftw(dir, remove_one, 16, FTW_PHYS | FTW_DEPTH);
	assert_int_equal(rmdir(dir), 0);
}

/* Mostly in memory, as a file system that is on a disk waits for it. */
static void make_dir(struct run *run, char *path, size_t size)
{
	const char *above = getenv("TMPDIR");

	snprintf(path, size, "/dev/shm/vqsim-XXXXXX");
	run->on_disk = run->seed % 10 == 0 || !mkdtemp(path);
	if (run->on_disk) {
		snprintf(path, size, "%.40s/vqsim-XXXXXX", above ? above : "/tmp");
		assert_non_null(mkdtemp(path));
	}
	assert_int_equal(chmod(path, 0755), 0);
}

/* --- what is there, against the model --- */

struct comparison {
	struct run *run;
	uint64_t names;
};

static __attribute__((format(printf, 2, 3))) void fault(struct run *run, const char *format, ...)
{
	va_list args;

	if (run->words[0])
		return;
	va_start(args, format);
	vsnprintf(run->words, sizeof(run->words), format, args);
	va_end(args);
}

static void compare_data(struct run *run, const char *path, const struct vqsim_tree_file *file)
{
	uint8_t want[4096], got[4096];
	int fd = open(path, O_RDONLY | O_NOFOLLOW);

	for (uint64_t at = 0; fd >= 0 && at < file->size; at += sizeof(want)) {
		size_t left = file->size - at < sizeof(want) ? file->size - at : sizeof(want);

		if (!vqsim_tree_data(file->file, at, want, left))
			break;
		if (pread(fd, got, left, (off_t)at) != (ssize_t)left ||
		    memcmp(want, got, left) != 0)
			fault(run, "%s: bytes at %" PRIu64 " are others than the model has", path,
			      at);
	}
	if (fd >= 0)
		close(fd);
}

static void compare_target(struct run *run, const char *path, const struct vqsim_tree_file *file)
{
	char target[PATH_MAX] = "";

	if (readlink(path, target, sizeof(target) - 1) < 0 || strcmp(target, file->target) != 0)
		fault(run, "%s: target \"%s\" and not \"%s\"", path, target, file->target);
}

static void compare_file(void *opaque, const char *name, const struct vqsim_tree_file *file)
{
	struct comparison *comparison = opaque;
	struct run *run = comparison->run;
	char path[PATH_MAX];
	struct stat st;

	comparison->names++;
	snprintf(path, sizeof(path), "%s/%s", run->dir, name);
	if (lstat(path, &st) != 0) {
		if (geteuid() == 0)
			fault(run, "%s: %s", path, strerror(errno));
		return;
	}
	if (file->attr_known && (st.st_mode != file->mode || st.st_uid != file->uid ||
				 st.st_gid != file->gid || st.st_nlink != file->nlink ||
				 (S_ISREG(st.st_mode) && (uint64_t)st.st_size != file->size)))
		fault(run,
		      "%s: mode 0%o links %u owner %u:%u size %llu, and in the model 0%o %u %u:%u %llu",
		      path, st.st_mode, (unsigned)st.st_nlink, st.st_uid, st.st_gid,
		      (unsigned long long)st.st_size, file->mode, file->nlink, file->uid, file->gid,
		      (unsigned long long)file->size);
	if (S_ISREG(st.st_mode) && file->attr_known)
		compare_data(run, path, file);
	if (S_ISLNK(st.st_mode) && file->target)
		compare_target(run, path, file);
}

static uint64_t counted;

static int count_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path;
	(void)st;
	(void)type;
	(void)ftw;
	counted++;
	return 0;
}

static void compare_all(struct run *run)
{
	struct comparison comparison = {.run = run};

	if (!run->on_host)
		return;
	vqsim_tree_walk(&run->bench->model, compare_file, &comparison);
	counted = 0;
	nftw(run->dir, count_one, 16, FTW_PHYS);
	if (geteuid() == 0 && counted != comparison.names)
		fault(run, "%" PRIu64 " files, but %" PRIu64 " in the model", counted,
		      comparison.names);
}

/* --- a run --- */

/* What the kernel of the host does its own way, and what a dir tree leaves to the guest. */
#define HOST_FREEDOM                                                                   \
	(VQSIM_TREE_COARSE_CLOCK | VQSIM_TREE_HOST_POLICY | VQSIM_TREE_LATE_LISTINGS | \
	 VQSIM_TREE_FREE_ATIME | VQSIM_TREE_IDS_LINGER | VQSIM_TREE_TRUSTING)

static void begin(struct run *run)
{
	struct fs_bench_options options = {
		.freedom = run->on_host ? HOST_FREEDOM : 0,
		.packed = run->seed & 1,
		.swapped = run->seed & 2,
		.queue_size = run->seed & 8 ? 8 : 64,
		.without = run->seed & 16 ? VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) : 0,
	};
	/* Descriptors are few, or enough for all; nodes are found again in each of the ways. */
	const struct fs_tree_dir_options dir = {
		.flags = (run->seed & 1 ? FS_DIR_NO_OPENAT2 : 0) |
			 (run->seed & 2 ? FS_DIR_NO_HANDLES : 0) |
			 (run->seed & 4 ? FS_DIR_EXCLUSIVE : 0),
		.fd_max = run->seed % 3 == 0 ? 32 : 0,
	};

	run->words[0] = '\0';
	if (run->on_host) {
		make_dir(run, run->dir, sizeof(run->dir));
		make_dir(run, run->mirror, sizeof(run->mirror));
		assert_int_equal(fs_tree_dir_create(&options.tree, run->dir, &dir), 0);
	}
	run->bench = fs_bench_create(&options);
	run->bench->fs.indirect = run->seed & 4;
	fs_player_init(&run->player, &run->bench->fs, run->callers);
	if (run->on_host)
		fs_host_init(&run->host, run->mirror, run->callers == callers ? callers : NULL);
}

static void note_violation(struct run *run)
{
	if (run->bench->referee.violations == 0)
		return;
	fault(run, "%s", run->bench->first.text);
	/* The bench would end the test; that is for later. */
	run->bench->referee.violations = 0;
	run->bench->first.text[0] = '\0';
}

static void end(struct run *run)
{
	if (fs_player_finish(&run->player) != 0)
		fault(run, "a node that was forgotten is still answered");
	note_violation(run);
	run->judged += run->bench->model.judged;
	run->learned += run->bench->model.learned;
	fs_bench_destroy(run->bench);
	if (!run->on_host)
		return;
	fs_host_finish(&run->host);
	wipe(run->dir);
	wipe(run->mirror);
}

static void compare(struct run *run, const struct fs_outcome *tree, const struct fs_outcome *host)
{
	/* A device looks at the message first, so a name that is too long wins over all else. */
	if (tree->value == -ENAMETOOLONG && host->value < 0)
		return;
	if (tree->value != host->value || tree->hash != host->hash)
		fault(run, "result %" PRId64 ", and by plain calls %" PRId64 "%s", tree->value,
		      host->value, tree->value == host->value ? " with other data" : "");
	else if (tree->has_attr && host->has_attr &&
		 (tree->mode != host->mode || tree->nlink != host->nlink ||
		  tree->uid != host->uid || tree->gid != host->gid || tree->size != host->size))
		fault(run,
		      "mode 0%o links %u owner %u:%u size %" PRIu64 ", and by plain calls 0%o %u "
		      "%u:%u %" PRIu64,
		      tree->mode, tree->nlink, tree->uid, tree->gid, tree->size, host->mode,
		      host->nlink, host->uid, host->gid, host->size);
}

/*
 * A dir tree looks at the caller only when something is made, and when it is asked. As an ordinary
 * user it finds files by their names, and so none in a directory that it may not search.
 */
static struct fs_step as_dir_has_it(const struct run *run, const struct fs_step *step)
{
	struct fs_step s = *step;

	if (fs_guest_says_of_sgid(&run->host, step))
		s.who = 0;
	/* ext4 changes times of directories even if it refuses it. */
	if (run->on_disk && s.what == DO_RENAME)
		s.flags &= ~RENAME_WHITEOUT;
	if (run->callers == nobody && (s.what == DO_CHMOD || s.what == DO_MKDIR))
		s.mode |= 0700;
	return s;
}

static void play_both(struct run *run, const struct fs_step *step)
{
	const struct fs_step s = as_dir_has_it(run, step);
	struct fs_outcome tree, host;

	fs_host_step(&run->host, &s, &host);
	if (host.done && fs_guest_refuses(&s, host.value)) {
		fs_player_refused(&run->player, &s);
		return;
	}
	/* It waits for a disk, and changes nothing. */
	if (s.what == DO_FSYNC && run->on_disk)
		return;
	fs_player_step(&run->player, &s, &tree);
	run->done += tree.done;
	note_violation(run);
	/* Where holes are on a disk depends on when the host writes pages back. */
	if (tree.done && host.done && !(s.what == DO_LSEEK && run->on_disk))
		compare(run, &tree, &host);
}

static void play(struct run *run, const struct fs_step *step)
{
	struct fs_outcome tree;

	if (run->on_host) {
		play_both(run, step);
		return;
	}
	fs_player_step(&run->player, step, &tree);
	run->done += tree.done;
	note_violation(run);
}

/* Returns whether something was wrong. */
static bool fails(void *opaque, const struct fs_step *steps, size_t count)
{
	struct run *run = opaque;

	begin(run);
	for (size_t i = 0; i < count && !run->words[0]; i++) {
		play(run, &steps[i]);
		if (i % 500 == 499)
			compare_all(run);
	}
	if (!run->words[0])
		compare_all(run);
	end(run);
	return run->words[0] && strncmp(run->words, run->kind, strlen(run->kind)) == 0;
}

static void tell(struct run *run, struct fs_step *steps, size_t count)
{
	char text[256];

	fprintf(stderr, "seed %" PRIu64 ": %s; making the list shorter\n", run->seed, run->words);
	snprintf(run->kind, sizeof(run->kind), "%.23s", run->words);
	count = fs_steps_shrink(steps, count, fails, run);
	fails(run, steps, count);
	fprintf(stderr, "seed %" PRIu64 ": %s, after\n", run->seed, run->words);
	for (size_t i = 0; i < count; i++) {
		fs_step_say(&steps[i], text, sizeof(text));
		fprintf(stderr, "  %s\n", text);
	}
}

static unsigned run_count(void)
{
	const char *runs = getenv("VQSIM_RANDOM_RUNS");

	return runs ? (unsigned)strtoul(runs, NULL, 10) : RUNS;
}

/* Returns how many seeds showed a fault; the first is told. */
static unsigned run_all(struct run *run, unsigned runs, unsigned kinds)
{
	struct fs_step *steps = calloc(STEPS, sizeof(*steps));
	unsigned faults = 0;

	assert_non_null(steps);
	for (unsigned i = 0; i < runs && faults == 0; i++) {
		run->seed = i;
		fs_steps_draw(steps, STEPS, run->seed, kinds);
		if (fails(run, steps, STEPS)) {
			tell(run, steps, STEPS);
			faults++;
		}
	}
	free(steps);
	return faults;
}

static void ram_agrees_with_the_model(void **state)
{
	struct run *run = calloc(1, sizeof(*run));

	(void)state;
	assert_non_null(run);
	run->callers = callers;
	assert_int_equal(run_all(run, run_count(), FS_CALLERS), 0);
	assert_true(run->done >= run_count() * UINT64_C(2500));
	/* A model that knows nothing finds nothing. */
	assert_true(run->judged > 30 * run->learned);
	free(run);
}

static void dir_agrees_with_model_and_host(void **state)
{
	struct run *run = calloc(1, sizeof(*run));

	(void)state;
	assert_non_null(run);
	if (geteuid() != 0) {
		free(run);
		skip();
	}
	umask(0);
	run->on_host = true;
	run->callers = callers;
	assert_int_equal(run_all(run, run_count(), FS_CALLERS), 0);
	assert_true(run->judged > 5 * run->learned);
	free(run);
}

static unsigned as_ordinary_user(void)
{
	struct run *run = calloc(1, sizeof(*run));
	unsigned faults;

	assert_non_null(run);
	umask(0);
	run->on_host = true;
	run->callers = nobody;
	faults = run_all(run, run_count(), 1);
	free(run);
	return faults;
}

/* In a process of its own, because it cannot become root again. */
static void dir_agrees_for_an_ordinary_user(void **state)
{
	pid_t child;
	int status;

	(void)state;
	if (geteuid() != 0)
		skip();
	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
			_exit(2);
		_exit(as_ordinary_user() != 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ram_agrees_with_the_model),
		cmocka_unit_test(dir_agrees_with_model_and_host),
		cmocka_unit_test(dir_agrees_for_an_ordinary_user),
	};

	return cmocka_run_group_tests_name("fs_random", tests, NULL, NULL);
}
