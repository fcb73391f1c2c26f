/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Seeded steps of all kinds, by four people, on a dozen paths of the tree in memory and of a
 * directory of the host: every result and all attributes agree. What the host's settings may
 * forbid besides (links of others' files, files in sticky directories) is left out, and what the
 * host's file system may leave undone: it opens fifos and follows links of its own.
 */
#define _GNU_SOURCE /* RENAME_, O_NOATIME */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/tree_script.h"

#define STEPS 4000u
#define SEED  4u

static int setup(void **state)
{
	return fs_tree_ram_create((struct fs_tree **)state, NULL);
}

static int teardown(void **state)
{
	struct fs_tree *tree = *state;

	tree->ops->destroy(tree);
	return 0;
}

static uint32_t draw(uint64_t *random, uint32_t below)
{
	*random = *random * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(*random >> 33) % below;
}

#define COUNT(array)          (uint32_t)(sizeof(array) / sizeof((array)[0]))
#define ONE_OF(random, array) (array)[draw(random, COUNT(array))]

static const char *draw_path(uint64_t *random)
{
	static const char *const paths[] = {"a",   "b",     "d",     "e",       "d/a",    "d/b",
					    "e/a", "d/sub", "e/sub", "d/sub/a", "e/sub/b"};

	return ONE_OF(random, paths);
}

/* The values of x and y that each kind of step knows. */
static void draw_values(struct script_step *step, uint64_t *random)
{
	static const uint32_t modes[] = {0777, 0777, 0777,  0777,  0755, 0700,
					 0644, 0666, 02777, 06755, 0070, 02765};
	static const uint32_t opens[] = {O_RDONLY, O_WRONLY,           O_RDWR,
					 O_EXCL,   O_RDWR | O_TRUNC,   O_RDONLY | O_NOATIME,
					 O_TRUNC,  O_WRONLY | O_APPEND};
	static const uint32_t renames[] = {0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
	/* Not both KEEP: the guest sends no message for that. */
	static const uint32_t uids[] = {0, ANN_UID, BOB_UID, CAT_UID};
	static const uint32_t gids[] = {KEEP, 0, ANN_GID, BOB_GID, 50};
	static const uint32_t times[] = {NOW, NOW, KEEP, 1000}, mtimes[] = {NOW, NOW, 2000};
	static const uint32_t accesses[] = {F_OK, R_OK, W_OK, X_OK, R_OK | W_OK};

	switch (step->what) {
	case MKDIR:
	case CHMOD:
		step->x = ONE_OF(random, modes);
		break;
	case CREATE:
	case OPEN:
		step->x = ONE_OF(random, opens);
		step->y = ONE_OF(random, modes);
		break;
	case MKNOD:
		step->x = S_IFREG | ONE_OF(random, modes);
		break;
	case RENAME:
		step->x = ONE_OF(random, renames);
		break;
	case CHOWN:
		step->x = ONE_OF(random, uids);
		step->y = ONE_OF(random, gids);
		break;
	case UTIMES:
		step->x = ONE_OF(random, times);
		step->y = ONE_OF(random, mtimes);
		break;
	case ACCESS:
		step->x = ONE_OF(random, accesses);
		break;
	case SETXATTR:
		step->y = 1 + draw(random, 3000);
		break;
	case FTRUNCATE:
		step->y = ONE_OF(random, opens);
		step->x = draw(random, 9000);
		break;
	case WRITE:
		step->y = 1 + draw(random, 9000);
		break;
	default:
		step->x = draw(random, 9000);
	}
}

/* Nothing moves down but below itself, which is refused: what there is to compare stays small. */
static void keep_it_flat(struct script_step *step)
{
	const char *path = step->path;

	if (strncmp(step->path, step->other, strlen(step->path)) == 0 ||
	    strlen(step->path) == strlen(step->other))
		return;
	if (strlen(step->path) < strlen(step->other)) {
		step->path = step->other;
		step->other = path;
	}
	if (strncmp(step->path, step->other, strlen(step->other)) != 0)
		step->x &= RENAME_NOREPLACE;
}

static void draw_step(struct script_step *step, void *opaque)
{
	static const enum script_what kinds[] = {
		MKDIR,    MKDIR,    RMDIR,     CREATE,      CREATE, OPEN,   OPENDIR,
		MKNOD,    LINK,     UNLINK,    RENAME,      RENAME, RENAME, CHMOD,
		CHMOD,    CHOWN,    TRUNCATE,  FTRUNCATE,   WRITE,  UTIMES, ACCESS,
		SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR, STAT,
	};
	uint64_t *random = opaque;

	if (*random == SEED) {
		draw(random, 1);
		*step = (struct script_step){ROOT, CHMOD, ".", NULL, 0777, 0, 0};
		return;
	}
	step->what = ONE_OF(random, kinds);
	step->who = step->what == LINK ? ROOT : (enum script_who)draw(random, 4);
	step->path = draw_path(random);
	/* Those are directories, most of the time. */
	if ((step->what == CREATE || step->what == MKNOD || step->what == RMDIR) &&
	    strchr("deb", step->path[strlen(step->path) - 1]) != NULL && draw(random, 8) != 0)
		step->what = MKDIR;
	step->other = step->what == LINK || step->what == RENAME ? draw_path(random) : "user.a";
	draw_values(step, random);
	if (step->what == RENAME)
		keep_it_flat(step);
}

static void results_and_attributes_are_the_host_s(void **state)
{
	uint64_t random = SEED;

	if (geteuid() != 0)
		skip();
	script_run_beside_host(*state, draw_step, &random, STEPS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(results_and_attributes_are_the_host_s, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
