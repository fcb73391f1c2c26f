/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of the file-system driver know of each other. Private to vqsim/.
 *
 *   guest_fs.c          requests: memory, framing, submit, reap, wait
 *   guest_fs_make.c     arguments into a message
 *   guest_fs_take.c     a reply into a result, and the referee's checks
 *   guest_fs_dirents.c  entries of directories
 *   guest_fs_ledger.c   look-ups and handles
 *   guest_fs_names.c, guest_fs_files.c   one call for each operation
 *
 * Threads: one.
 */
#ifndef VQSIM_GUEST_FS_INTERNAL_H
#define VQSIM_GUEST_FS_INTERNAL_H

#include "guest_fs.h"

#define FS_IN_HEADER  ((uint32_t)sizeof(struct fuse_in_header))
#define FS_OUT_HEADER ((uint32_t)sizeof(struct fuse_out_header))

/* Room for what is no data: headers, arguments, two names, extensions; and the longest reply. */
#define FS_IN_ROOM  8192u
#define FS_OUT_ROOM 512u

/* Linux gives larger ones a meaning of its own. */
#define FS_ERRNO_END 512

/* What a good reply holds. */
enum fs_reply {
	FS_REPLY_UNKNOWN = 0, /* no such opcode here: data, up to the room */
	FS_REPLY_NONE,        /* never a reply */
	FS_REPLY_INTERRUPT,   /* no reply, or an error */
	FS_REPLY_EMPTY,
	FS_REPLY_ENTRY,
	FS_REPLY_CREATE,
	FS_REPLY_ATTR,
	FS_REPLY_OPEN,
	FS_REPLY_WRITE,
	FS_REPLY_LSEEK,
	FS_REPLY_COPY,
	FS_REPLY_STATFS,
	FS_REPLY_LOCK,
	FS_REPLY_STATX,
	FS_REPLY_INIT,
	FS_REPLY_DATA,
	FS_REPLY_XATTR, /* data, or the size of it */
	FS_REPLY_DIRENTS,
	FS_REPLY_DIRENTS_PLUS,
};

enum fs_reply fs_reply_of(uint32_t opcode);

/* Bytes behind the header of a good reply; those that vary: the room to give. */
uint64_t fs_reply_size(const struct vqsim_fs_args *args);

/*
 * Copy the first size bytes of a structure between this process and a message, where integers are
 * in the order of the guest. layout has a digit for each integer: its size.
 */
void fs_wire(void *to, const void *from, size_t size, const char *layout, bool swapped);

#define FS_WIRE_IN_HEADER  "448844422"
#define FS_WIRE_OUT_HEADER "448"
#define FS_WIRE_ATTR       "8888884444444444"
#define FS_WIRE_ENTRY      "888844" FS_WIRE_ATTR
#define FS_WIRE_OPEN       "844"
#define FS_WIRE_DIRENT     "8844"
#define FS_WIRE_LOCK       "8844"
#define FS_WIRE_INIT_IN    "4444444444444444"
#define FS_WIRE_INIT_OUT   \
	"4444224422442222" \
	"22222222"

/* The reply is there: check it, fill the result, keep the ledgers. */
void fs_take(struct vqsim_fs *fs, struct vqsim_fs_request *request);

/* guest_fs_dirents.c: whether an entry could be there so. */
bool fs_dirent_sane(const struct vqsim_fs_dirent *dirent);
bool fs_attr_sane(const struct fuse_attr *attr);

/* Count one more. Returns false: out of memory. */
bool fs_ledger_add(struct vqsim_fs_ledger *ledger, uint64_t node, uint64_t handle);
/* Count up to so many less. */
void fs_ledger_take(struct vqsim_fs_ledger *ledger, uint64_t node, uint64_t handle, uint64_t count);
uint64_t fs_ledger_count(const struct vqsim_fs_ledger *ledger, uint64_t node, uint64_t handle);
void fs_ledger_finish(struct vqsim_fs_ledger *ledger);

#endif
