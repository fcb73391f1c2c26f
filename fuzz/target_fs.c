/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Property: whatever a guest asks of a file-system device, with nodes and handles of earlier
 * replies or wrong ones, on any queue, in any framing, order and byte order, and in messages that
 * are none, every reply is one that FUSE allows and what the model predicts; and what fs_player.h
 * and ring_split say holds.
 * Nothing outside of a shared directory is touched.
 *
 * The first byte chooses the tree: in memory, or a directory of the host in one of several ways.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "support/counters.h"
#include "support/fs_player.h"
#include "support/fs_scratch.h"
#include "support/round.h"

/* Small, so that full trees come up. */
#define RAM_SIZE  (256u << 10)
#define RAM_NODES 48u

/* No file of the host, holes apart, is to be larger. */
#define FILE_SIZE (4u << 20)

#define FD_MAX 32u

#define DIRS 4u

static struct fuzz_fs_player player;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct rlimit limit = {FILE_SIZE, FILE_SIZE};

	(void)argc, (void)argv;
	fuzz_must("player", fuzz_fs_player_init(&player));
	fuzz_scratch_make();
	setrlimit(RLIMIT_FSIZE, &limit);
	return 0;
}

static void print_ops(FILE *out, const struct fuzz_fs_op *ops, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		fprintf(out, "%4u  ", i);
		fuzz_fs_print(out, &ops[i]);
	}
}

static struct fs_tree *make_tree(uint8_t choice, enum fuzz_fs_kind *kind)
{
	static const struct fs_tree_ram_options ram = {.size_max = RAM_SIZE, .node_max = RAM_NODES};
	static const struct fs_tree_dir_options dirs[DIRS] = {
		{.fd_max = FD_MAX},
		{.fd_max = FD_MAX, .flags = FS_DIR_NO_HANDLES | FS_DIR_NO_OPENAT2},
		{.fd_max = FD_MAX, .flags = FS_DIR_OWN_CREDENTIALS},
		{.fd_max = FD_MAX, .flags = FS_DIR_EXCLUSIVE},
	};
	const struct fs_tree_dir_options *dir = &dirs[choice / 2 % DIRS];
	struct fs_tree *tree = NULL;

	if (choice % 2 == 0) {
		*kind = FUZZ_FS_RAM;
		fuzz_must("ram", fs_tree_ram_create(&tree, &ram));
		return tree;
	}
	*kind = dir->flags & FS_DIR_OWN_CREDENTIALS ? FUZZ_FS_DIR_OWN : FUZZ_FS_DIR;
	fuzz_must("dir", fs_tree_dir_create(&tree, fuzz_scratch_renew(), dir));
	return tree;
}

static void run(uint8_t choice, const struct fuzz_fs_op *ops, unsigned count)
{
	int free_fd = fuzz_scratch_free_fd();
	enum fuzz_fs_kind kind;
	struct fs_tree *tree = make_tree(choice, &kind);

	signal(SIGXFSZ, SIG_IGN); /* libFuzzer has its own by now */
	fuzz_must("device", fuzz_fs_play(&player, tree, kind, ops, count));
	if (fuzz_scratch_free_fd() != free_fd)
		vqsim_referee_violation(&player.referee, VQSIM_RULE_FOOTPRINT, 1,
					"a descriptor of the host is left open");
	if (kind != FUZZ_FS_RAM && !fuzz_scratch_canary_intact())
		vqsim_referee_violation(&player.referee, VQSIM_RULE_FOOTPRINT, 1,
					"a file beside the shared directory was touched");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_fs_op ops[FUZZ_FS_OPS_MAX];
	uint64_t completed = player.completed, resets = player.resets;
	uint64_t violations = player.referee.violations;
	unsigned count;

	if (size == 0)
		return 0;
	count = fuzz_fs_decode(data + 1, size - 1, ops);
	if (fuzz_verbose)
		print_ops(stdout, ops, count);
	fuzz_introduce(&player.referee);
	run(data[0], ops, count);
	if (player.referee.violations > violations) {
		if (fuzz_input_name)
			fprintf(stderr, "the input: %s\n", fuzz_input_name);
		fputs("the operations that led to it:\n", stderr);
		print_ops(stderr, ops, count);
		abort();
	}
	fuzz_requests_completed += player.completed - completed;
	fuzz_resets += player.resets - resets;
	return 0;
}

void fuzz_finish(void)
{
	fuzz_fs_player_finish(&player);
}
