/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entries of a directory, one behind the other:
 *
 *     [entry_out: 128, READDIRPLUS only] | dirent: 24 | name | up to a multiple of 8
 */
#include <string.h>
#include <sys/stat.h>

#include "guest_fs_internal.h"

#define NSEC_PER_S 1000000000u
#define TYPE_END   16u /* DT_* of readdir(3) have 4 bits */

struct vqsim_fs_dirents vqsim_fs_dirents_of(const struct vqsim_fs *fs,
					    const struct vqsim_fs_request *request)
{
	return (struct vqsim_fs_dirents){
		.at = request->result.data,
		.left = request->result.count,
		.plus = request->args.opcode == FUSE_READDIRPLUS,
		.swapped = fs->swapped,
	};
}

bool vqsim_fs_dirents_next(struct vqsim_fs_dirents *dirents, struct vqsim_fs_dirent *dirent)
{
	size_t head = dirents->plus ? sizeof(struct fuse_entry_out) : 0;
	struct fuse_dirent wire;
	size_t size;

	memset(&dirent->entry, 0, sizeof(dirent->entry));
	if (dirents->left < head + sizeof(wire))
		return false;
	if (dirents->plus)
		fs_wire(&dirent->entry, dirents->at, head, FS_WIRE_ENTRY, dirents->swapped);
	fs_wire(&wire, dirents->at + head, sizeof(wire), FS_WIRE_DIRENT, dirents->swapped);
	size = (head + sizeof(wire) + (size_t)wire.namelen + 7) / 8 * 8;
	if (wire.namelen == 0 || wire.namelen > VQSIM_FS_NAME_MAX || size > dirents->left)
		return false;
	dirent->ino = wire.ino;
	dirent->next = wire.off;
	dirent->type = wire.type;
	dirent->name_size = wire.namelen;
	memcpy(dirent->name, dirents->at + head + sizeof(wire), wire.namelen);
	dirent->name[wire.namelen] = '\0';
	dirents->at += size;
	dirents->left -= size;
	return true;
}

bool fs_attr_sane(const struct fuse_attr *attr)
{
	switch (attr->mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFIFO:
	case S_IFSOCK:
	case S_IFCHR:
	case S_IFBLK:
		break;
	default:
		return false;
	}
	return attr->mode <= 0177777 && attr->atimensec < NSEC_PER_S &&
	       attr->mtimensec < NSEC_PER_S && attr->ctimensec < NSEC_PER_S;
}

bool fs_dirent_sane(const struct vqsim_fs_dirent *dirent)
{
	if (strlen(dirent->name) != dirent->name_size || strchr(dirent->name, '/'))
		return false;
	if (dirent->type >= TYPE_END || dirent->next == 0)
		return false;
	return dirent->entry.nodeid == 0 || fs_attr_sane(&dirent->entry.attr);
}
