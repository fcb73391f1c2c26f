/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A look at everything that replies have named: the model judges each answer, so a change
 * that went wrong shows even if the input did not look.
 */
#define _GNU_SOURCE /* SEEK_HOLE */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs_player_internal.h"

/* Room for any entry; and for one with a short name: every one is where a listing goes on. */
#define LIST_ROOM 600u
#define ONE_ROOM  40u

#define LOCKS_MAX 4u

/* Whose locks these are, nobody else is. */
#define OWNER 99u

static void audit_listing(struct vqsim_fs *fs, uint64_t node)
{
	struct vqsim_fs_dirents dirents;
	struct vqsim_fs_dirent dirent = {.next = 0};
	struct vqsim_fs_file file;
	uint8_t buffer[LIST_ROOM];

	if (vqsim_fs_opendir(fs, node, &file) != 0)
		return;
	while (vqsim_fs_readdir(fs, &file, dirent.next, buffer, ONE_ROOM, &dirents) > 0 ||
	       vqsim_fs_readdir(fs, &file, dirent.next, buffer, LIST_ROOM, &dirents) > 0)
		while (vqsim_fs_dirents_next(&dirents, &dirent))
			;
	vqsim_fs_releasedir(fs, &file);
}

static void audit_node(struct vqsim_fs *fs, uint64_t node)
{
	static const char *const names[] = {"user.a", "user.b", "user.c"};
	uint8_t buffer[1024];
	struct fuse_attr attr;

	if (vqsim_fs_getattr(fs, node, NULL, &attr) != 0)
		return;
	if ((attr.mode & S_IFMT) == S_IFLNK)
		vqsim_fs_readlink(fs, node, (char *)buffer, sizeof(buffer));
	if ((attr.mode & S_IFMT) == S_IFDIR)
		audit_listing(fs, node);
	vqsim_fs_listxattr(fs, node, (char *)buffer, sizeof(buffer));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		vqsim_fs_getxattr(fs, node, names[i], buffer, sizeof(buffer));
}

/* One lock after the other, in the order of their bytes. */
static void audit_locks(struct vqsim_fs *fs, const struct vqsim_fs_file *file)
{
	struct fuse_file_lock lock = {.type = F_WRLCK, .end = INT64_MAX};

	for (unsigned i = 0; i < LOCKS_MAX; i++) {
		if (vqsim_fs_getlk(fs, file, OWNER, &lock) != 0 || lock.type == F_UNLCK ||
		    lock.end == INT64_MAX)
			return;
		lock = (struct fuse_file_lock){
			.type = F_WRLCK, .start = lock.end + 1, .end = INT64_MAX};
	}
}

static void audit_file(struct vqsim_fs *fs, const struct vqsim_fs_file *file)
{
	static const uint64_t offsets[] = {0, 4096, 8192};
	uint8_t buffer[FUZZ_FS_DATA];

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
		vqsim_fs_read(fs, file, offsets[i], buffer, sizeof(buffer));
	vqsim_fs_lseek(fs, file, 0, SEEK_HOLE);
	audit_locks(fs, file);
}

void player_audit(struct fuzz_fs_player *player)
{
	struct fuzz_fs_seen *seen = &player->seen;

	audit_node(&player->fs, FUSE_ROOT_ID);
	for (unsigned i = 0; i < FUZZ_FS_NODES; i++)
		if (vqsim_fs_lookups(&player->fs, seen->nodes[i]) > 0)
			audit_node(&player->fs, seen->nodes[i]);
	for (unsigned i = 0; i < FUZZ_FS_HANDLES; i++)
		if (seen->handles[i].node)
			audit_file(&player->fs, &seen->handles[i]);
}
