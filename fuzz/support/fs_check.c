/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fs_player_internal.h"

/* Deeper than any run makes directories. */
#define DEPTH_MAX 64u

static void expect(struct fuzz_fs_player *player, bool held, const char *what)
{
	if (!held)
		player_violation(player, VQSIM_RULE_FS_PAYLOAD, what);
}

/* Nothing is special any more: the client may wait for its requests. */
static void calm(struct fuzz_fs_player *player)
{
	player->framing = (struct fuzz_fs_framing){0};
	player->bend.code = FUZZ_FS_REQUEST;
	player->later = false;
	player->fs.uid = player->fs.gid = player->fs.umask = 0;
	player->fs.queue = 1;
}

/* An interrupted lock is answered; nothing else waits for anything. */
static void come_back(struct fuzz_fs_player *player)
{
	player_work(player);
	for (unsigned i = 0; i < FUZZ_FS_SLOTS; i++) {
		struct vqsim_fs_request *request = &player->slots[i].request;

		if (request->fs && !request->raw && !player->unsure)
			vqsim_fs_interrupt(&player->fs, request->unique);
	}
	player_work(player);
	if (player->known)
		expect(player, !player_in_flight(player),
		       "a request that was interrupted does not come back");
}

static bool begin(struct fuzz_fs_player *player)
{
	int error;

	player->fs.swapped = false;
	error = vqsim_fs_begin(&player->fs, FUSE_KERNEL_MINOR_VERSION, FUSE_BIG_WRITES);
	player_work(player);
	expect(player, error == 0, "INIT fails");
	player->unsure = error != 0;
	return error == 0;
}

static void good_request(struct fuzz_fs_player *player)
{
	struct fuse_attr attr;

	expect(player, vqsim_fs_getattr(&player->fs, FUSE_ROOT_ID, NULL, &attr) == 0,
	       "GETATTR of the root fails");
}

/* --- balance --- */

/* Which is a file's and which a directory's is found out by trying. */
static bool release(struct fuzz_fs_player *player, const struct vqsim_fs_count *count)
{
	const struct vqsim_fs_file file = {.node = count->node, .handle = count->handle};
	bool done = vqsim_fs_release(&player->fs, &file) == 0 ||
		    vqsim_fs_releasedir(&player->fs, &file) == 0;

	expect(player, done, "a handle cannot be released");
	return done;
}

/* What the client has counted; without a session nothing is left. */
static void give_back(struct fuzz_fs_player *player)
{
	struct vqsim_fs *fs = &player->fs;

	for (size_t i = 0; i < fs->handles.room; i++)
		while (fs->handles.counts[i].count > 0 && release(player, &fs->handles.counts[i]))
			;
	expect(player, vqsim_fs_forget_all(fs) == 0, "BATCH_FORGET fails");
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* The first entry that is no dots. */
static bool first_entry(struct fuzz_fs_player *player, uint64_t node,
			struct vqsim_fs_dirent *dirent)
{
	struct vqsim_fs *fs = &player->fs;
	struct vqsim_fs_dirents dirents;
	struct vqsim_fs_file file;
	uint8_t buffer[1024];
	bool found = false;

	if (vqsim_fs_opendir(fs, node, &file) != 0)
		return false;
	if (vqsim_fs_readdir(fs, &file, 0, buffer, sizeof(buffer), &dirents) > 0)
		while (!found && vqsim_fs_dirents_next(&dirents, dirent))
			found = !is_dots(dirent->name);
	vqsim_fs_releasedir(fs, &file);
	return found;
}

static bool empty(struct fuzz_fs_player *player, uint64_t node, unsigned depth)
{
	struct vqsim_fs *fs = &player->fs;
	struct vqsim_fs_dirent dirent;
	struct fuse_entry_out entry;

	while (first_entry(player, node, &dirent)) {
		int error = vqsim_fs_unlink(fs, node, dirent.name);

		if (error == -EISDIR && depth > 0 &&
		    vqsim_fs_lookup(fs, node, dirent.name, &entry) == 0) {
			if (!empty(player, entry.nodeid, depth - 1))
				return false;
			error = vqsim_fs_rmdir(fs, node, dirent.name);
			vqsim_fs_forget(fs, entry.nodeid, 1);
		}
		if (error)
			return false;
	}
	return true;
}

void player_note_fresh(struct fuzz_fs_player *player)
{
	memset(&player->fresh, 0, sizeof(player->fresh));
	if (player->up && player->kind == FUZZ_FS_RAM && !player->unsure && player->fs.minor > 0)
		vqsim_fs_statfs(&player->fs, FUSE_ROOT_ID, &player->fresh);
}

static void check_balance(struct fuzz_fs_player *player)
{
	struct fuse_kstatfs now = {0};

	expect(player, empty(player, FUSE_ROOT_ID, DEPTH_MAX), "a file cannot be removed");
	if (player->fresh.files == 0)
		return;
	expect(player, vqsim_fs_statfs(&player->fs, FUSE_ROOT_ID, &now) == 0, "STATFS fails");
	expect(player, now.ffree == player->fresh.ffree,
	       "files are left that nobody can name: look-ups or handles are lost");
}

static void check_session(struct fuzz_fs_player *player)
{
	come_back(player);
	if (player->known && player->fs.minor > 0) {
		good_request(player);
		if (player->modelled)
			player_audit(player);
		give_back(player);
		if (player->kind == FUZZ_FS_RAM)
			check_balance(player);
		/* What nobody can interrupt may fill the rings: only a reset ends it. */
	} else if (!player_in_flight(player) && begin(player)) {
		good_request(player);
		if (player->kind == FUZZ_FS_RAM)
			check_balance(player);
	}
}

static void check_memory(struct fuzz_fs_player *player)
{
	uint64_t bad;

	if (vqsim_memory_check(&player->memory, &bad))
		player_violation(player, VQSIM_RULE_FOOTPRINT, "a byte beside a buffer changed");
}

/* A device that was reset is as new, and lets go of the guest's memory. */
static void check_again(struct fuzz_fs_player *player)
{
	const struct fuzz_fs_op up = {.code = FUZZ_FS_UP, .size = 1};

	expect(player, player_up(player, &up), "the device does not come up again");
	if (!player->up)
		return;
	good_request(player);
	check_memory(player);
	vqsim_guest_reset(&player->guest);
	for (unsigned i = 0; i < player->memory.count; i++)
		if (!vqsim_memory_released(&player->memory, i))
			player_violation(player, VQSIM_RULE_FOOTPRINT,
					 "memory is held after a reset");
}

void player_check(struct fuzz_fs_player *player)
{
	if (player->up) {
		calm(player);
		check_session(player);
		check_memory(player);
	}
	check_again(player);
}
