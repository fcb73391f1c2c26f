/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs_player.h"

/* One reply of a listing into the sum. Returns whether there was anything in it. */
static bool add_names(struct fs_player *p, const struct fs_step *s,
		      const struct vqsim_fs_file *list, uint64_t *offset, struct fs_outcome *out)
{
	/* Room for one name of any length. */
	uint32_t room = s->size < 1024 ? 1024 : (uint32_t)s->size;
	bool plus = s->x % 2;
	struct vqsim_fs_dirents dirents;
	struct vqsim_fs_dirent dirent;
	int64_t size;

	size = plus ? vqsim_fs_readdirplus(p->fs, list, *offset, p->buffer, room, &dirents)
		    : vqsim_fs_readdir(p->fs, list, *offset, p->buffer, room, &dirents);
	if (size < 0)
		out->value = size;
	while (size > 0 && vqsim_fs_dirents_next(&dirents, &dirent)) {
		*offset = dirent.next;
		out->value++;
		out->hash += fs_outcome_name(dirent.name, dirent.name_size, dirent.type);
		if (plus && dirent.entry.nodeid != 0)
			vqsim_fs_forget(p->fs, dirent.entry.nodeid, 1);
	}
	return size > 0;
}

void fs_player_names(struct fs_player *p, const struct fs_step *s, struct fs_outcome *out)
{
	struct vqsim_fs_file list;
	uint64_t offset = 0;

	out->value = vqsim_fs_opendir(p->fs, p->nodes[s->a], &list);
	if (out->value != 0)
		return;
	while (add_names(p, s, &list, &offset, out))
		;
	vqsim_fs_releasedir(p->fs, &list);
}
