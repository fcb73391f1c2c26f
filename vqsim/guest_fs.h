/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file-system driver for the simulated guest (virtio 1.3, 5.11): a FUSE client on
 * any queue, in any framing and in both byte orders, with a referee on every reply.
 * In layers, each on the one below:
 *
 *     vqsim_fs_mkdir(fs, FUSE_ROOT_ID, "d", 0755, &entry)   one operation, waited for
 *     vqsim_fs_make, _submit, _reap                         requests, many in flight
 *     vqsim_fs_make_raw                                     any bytes as a message
 *
 * Structures are those of fuse_wire.h in the byte order of this process. Flags and
 * errors are the numbers of Linux. FORGET, BATCH_FORGET and INTERRUPT go to hiprio.
 *
 * Threads: one.
 */
#ifndef VQSIM_GUEST_FS_H
#define VQSIM_GUEST_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest.h"
#include "../devices/fs/fuse_wire.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VQSIM_FS_HIPRIO   0u
#define VQSIM_FS_NAME_MAX 255u

/* What calls that wait return when the request never came back, or found no room in the ring. */
#define VQSIM_FS_LOST (-512)

/* What a request asks for. What a member means to an opcode stands behind it. */
struct vqsim_fs_args {
	uint32_t opcode; /* FUSE_* */
	uint32_t flags; /* O_* (open, create, tmpfile, read, write, release), RENAME_*, XATTR_*; the
			    mode of FALLOCATE; flags of COPY_FILE_RANGE and STATX */
	uint32_t fuse_flags; /* the message's own: FUSE_GETATTR_FH, FUSE_WRITE_KILL_SUIDGID, ... */
	uint32_t mask;       /* access; statx */
	uint64_t node;
	uint64_t handle;
	const char *name;     /* in the directory node; of an extended attribute */
	const char *target;   /* symlink */
	uint64_t new_parent;  /* rename, rename2, link */
	const char *new_name; /* rename, rename2, link */
	uint32_t mode, rdev;
	uint32_t whence; /* lseek */
	uint64_t offset;
	uint64_t size;          /* room for data; bytes of data or of a range */
	const void *data;       /* write, setxattr; NULL: what is at vqsim_fs_data() already */
	uint64_t lock_owner;    /* locks, flush, release; read and write with their flag for it */
	uint64_t target_node;   /* copy_file_range: to where */
	uint64_t target_handle; /* copy_file_range */
	uint64_t target_offset; /* copy_file_range */
	uint64_t count;         /* forget: look-ups; batch_forget: of forgets */
	uint64_t unique;        /* interrupt: of the request */
	struct fuse_file_lock lock;
	const struct fuse_setattr_in *set;     /* setattr */
	const struct fuse_forget_one *forgets; /* batch_forget */
	const struct fuse_init_in *init;       /* init */
	const char *label_name;                /* of new files, if SECURITY_CTX is negotiated */
	const void *label;                     /* its value */
	uint32_t label_size;
};

/*
 * What came back. What the opcode does not fill is zero, but for the union: its member for the
 * opcode is valid if error is 0.
 */
struct vqsim_fs_result {
	int error;           /* 0 or a negative errno */
	uint32_t open_flags; /* FOPEN_* with handle */
	uint64_t handle;     /* open, opendir, create, tmpfile */
	uint64_t count;      /* bytes of data, or that were written; lseek: the offset */
	const uint8_t *data; /* in guest memory */
	union {
		struct fuse_entry_out
			entry;         /* lookup, symlink, mknod, mkdir, link, create, tmpfile */
		struct fuse_attr attr; /* getattr, setattr */
		struct fuse_kstatfs statfs;
		struct fuse_file_lock lock;
		struct fuse_statx statx;
		struct fuse_init_out init;
	};
};

/*
 * One request slot: its guest memory is allocated once and reused. Made by
 * vqsim_fs_request_init; then, for each use, vqsim_fs_make, set framing, and submit.
 */
struct vqsim_fs_request {
	/*
	 * Where to cut the message and the room for its reply into descriptors. NULL: each
	 * header is one, and what follows it another.
	 */
	const uint32_t *readable_cuts;
	const uint32_t *writable_cuts;
	uint16_t readable_cut_count;
	uint16_t writable_cut_count;
	bool indirect; /* through an indirect table, if negotiated */
	uint16_t
		direct; /* then: descriptors before the one that points to the table (split rings) */

	/* The answer. */
	bool done;
	uint32_t used_len; /* 0: no reply */
	struct vqsim_fs_result result;

	/* Guest memory: the message, and the room for its reply. Made by vqsim_fs_make. */
	uint32_t in_room, out_room;
	uint32_t in_size, out_size;
	uint64_t in_gpa, out_gpa, table_gpa;
	uint8_t *in, *out;

	struct vqsim_fs_args args; /* zero if raw; what it points to lives until the reap */
	uint64_t unique;
	void *opaque; /* the user's */

	/* Private. */
	struct vqsim_fs *fs; /* that it was submitted to; NULL: not in flight */
	uint16_t queue;
	bool raw;
	struct vqsim_element *elements;
	uint64_t in_hash; /* of the message, if the referee watches */
};

/* Counts by two keys: look-ups by node, open handles by node and handle. Private. */
struct vqsim_fs_count {
	uint64_t node, handle;
	uint64_t count;
	bool taken;
};

struct vqsim_fs_ledger {
	struct vqsim_fs_count *counts;
	size_t room, taken;
	uint64_t total;
};

struct vqsim_fs {
	struct vqsim_guest *guest;

	/* On whose behalf, and how, the next requests are made. */
	uint32_t uid, gid, pid, umask;
	const uint32_t *groups; /* supplementary, told if CREATE_SUPP_GROUP is negotiated */
	uint32_t group_count;
	uint16_t queue; /* of calls that wait; 1 */
	bool swapped;   /* the guest has the other byte order; to be set before INIT */
	bool indirect;  /* calls that wait go through tables */
	bool whole;     /* they are one descriptor for the message, and one for its reply */

	/* The session, as the device agreed to it. minor 0: there is none. */
	uint32_t minor;
	uint64_t flags;
	uint32_t max_write;

	/* Told to whoever compares with a model; may be NULL. request->args are constant between them. */
	void (*on_submit)(void *opaque, struct vqsim_fs_request *request);
	void (*on_done)(void *opaque, struct vqsim_fs_request *request);
	void *opaque;

	uint64_t requests; /* completed */
	uint64_t errors;   /* completed with an error */

	/* Private. */
	uint64_t next_unique;
	struct vqsim_fs_request request; /* of calls that wait */
	struct vqsim_fs_ledger lookups, handles;
	bool no_memory; /* the ledgers are not complete */
};

/*
 * Take over a guest that is up. data_room: the most that one call reads or writes; 0: 64 KiB.
 * Returns 0 or -ENOMEM. A reset of the device ends it: call vqsim_fs_finish and this again.
 */
int vqsim_fs_init(struct vqsim_fs *fs, struct vqsim_guest *guest, uint32_t data_room);

/* Free the private part. Returns look-ups and handles that are left. A zeroed one can be finished. */
uint64_t vqsim_fs_finish(struct vqsim_fs *fs);

/* Look-ups of a node that the device has counted for us, and all; handles that are open. */
uint64_t vqsim_fs_lookups(const struct vqsim_fs *fs, uint64_t node);
uint64_t vqsim_fs_lookups_total(const struct vqsim_fs *fs);
uint64_t vqsim_fs_handles_total(const struct vqsim_fs *fs);

/* --- requests --------------------------------------------------------------------------------- */

/*
 * Guest memory for requests with names, and up to data_room bytes of data in each direction.
 * Returns 0 or -ENOMEM; misuse as in memory.h.
 */
int vqsim_fs_request_init(struct vqsim_fs *fs, struct vqsim_fs_request *request,
			  uint32_t data_room);

/* Free the private part. A zeroed request can be finished. */
void vqsim_fs_request_finish(struct vqsim_fs_request *request);

/* The request will not come back: its queue was reset. The slot may be used again. */
void vqsim_fs_request_lose(struct vqsim_fs_request *request);

/* Write the message and make room for its reply, in the default framing. Names that do not fit are misuse. */
void vqsim_fs_make(struct vqsim_fs *fs, struct vqsim_fs_request *request,
		   const struct vqsim_fs_args *args);

/* Where the data of WRITE stands in the message, so that it can be filled in place. */
uint8_t *vqsim_fs_data(struct vqsim_fs_request *request);

/*
 * Any bytes as a message (NULL: what is at request->in already), and room for a reply of
 * out_size bytes. Of the reply only what holds for every message is checked; it may be missing.
 */
void vqsim_fs_make_raw(struct vqsim_fs *fs, struct vqsim_fs_request *request, const void *message,
		       uint32_t size, uint32_t out_size);

/*
 * Lay a request that was made into a queue; the device sees it after vqsim_guest_publish.
 * Returns the head, or -1: the ring is full, nothing changed.
 * vqsim_fs_submit_chain: in this framing of [in_gpa, + in_size) and [out_gpa, + out_size).
 */
int vqsim_fs_submit(struct vqsim_fs *fs, uint16_t queue, struct vqsim_fs_request *request);
int vqsim_fs_submit_chain(struct vqsim_fs *fs, uint16_t queue, struct vqsim_fs_request *request,
			  const struct vqsim_chain *chain);

/* The queue for a request: hiprio for those without a reply, or fs->queue. */
uint16_t vqsim_fs_queue_of(const struct vqsim_fs *fs, const struct vqsim_fs_request *request);

/* Take one completed request from a queue: done, used_len and result are set. NULL: nothing. */
struct vqsim_fs_request *vqsim_fs_reap(struct vqsim_fs *fs, uint16_t queue);

/*
 * Submit one request, publish, run and reap until it is done. What needs another request first
 * (SETLKW) must not be waited for. Returns its result's error, or VQSIM_FS_LOST.
 */
int vqsim_fs_do(struct vqsim_fs *fs, uint16_t queue, struct vqsim_fs_request *request);

/*
 * Make and do, on the queue that the opcode belongs to. result may be NULL; data is valid until
 * the next call. Once one was lost all that follow are, until the client is made anew.
 */
int vqsim_fs_call(struct vqsim_fs *fs, const struct vqsim_fs_args *args,
		  struct vqsim_fs_result *result);

/* --- one call for each operation -------------------------------------------------------------- */

/*
 * Each returns 0, or what is named, or a negative errno of the device, or VQSIM_FS_LOST.
 * Results may be NULL.
 */

/* An open file or directory. */
struct vqsim_fs_file {
	uint64_t node;
	uint64_t handle;
	uint32_t flags;      /* O_* */
	uint32_t open_flags; /* FOPEN_* */
};

/* INIT: fs->minor, flags and max_write are set. flags: those to ask for; INIT_EXT is added if needed. */
int vqsim_fs_begin(struct vqsim_fs *fs, uint32_t minor, uint64_t flags);
int vqsim_fs_destroy(struct vqsim_fs *fs);

int vqsim_fs_lookup(struct vqsim_fs *fs, uint64_t parent, const char *name,
		    struct fuse_entry_out *entry);
int vqsim_fs_forget(struct vqsim_fs *fs, uint64_t node, uint64_t count);
int vqsim_fs_batch_forget(struct vqsim_fs *fs, const struct fuse_forget_one *forgets,
			  uint32_t count);
/* All that was looked up. */
int vqsim_fs_forget_all(struct vqsim_fs *fs);

/* file may be NULL: the node is meant. */
int vqsim_fs_getattr(struct vqsim_fs *fs, uint64_t node, const struct vqsim_fs_file *file,
		     struct fuse_attr *attr);
int vqsim_fs_setattr(struct vqsim_fs *fs, uint64_t node, const struct fuse_setattr_in *set,
		     struct fuse_attr *attr);
int vqsim_fs_statx(struct vqsim_fs *fs, uint64_t node, uint32_t mask, struct fuse_statx *statx);
int vqsim_fs_access(struct vqsim_fs *fs, uint64_t node, uint32_t mask);

/* Bytes of the target, which gets no NUL. */
int64_t vqsim_fs_readlink(struct vqsim_fs *fs, uint64_t node, char *target, uint32_t size);
int vqsim_fs_symlink(struct vqsim_fs *fs, uint64_t parent, const char *name, const char *target,
		     struct fuse_entry_out *entry);
int vqsim_fs_mknod(struct vqsim_fs *fs, uint64_t parent, const char *name, uint32_t mode,
		   uint32_t rdev, struct fuse_entry_out *entry);
int vqsim_fs_mkdir(struct vqsim_fs *fs, uint64_t parent, const char *name, uint32_t mode,
		   struct fuse_entry_out *entry);
int vqsim_fs_unlink(struct vqsim_fs *fs, uint64_t parent, const char *name);
int vqsim_fs_rmdir(struct vqsim_fs *fs, uint64_t parent, const char *name);
int vqsim_fs_rename(struct vqsim_fs *fs, uint64_t parent, const char *name, uint64_t new_parent,
		    const char *new_name);
int vqsim_fs_rename2(struct vqsim_fs *fs, uint64_t parent, const char *name, uint64_t new_parent,
		     const char *new_name, uint32_t flags);
int vqsim_fs_link(struct vqsim_fs *fs, uint64_t node, uint64_t new_parent, const char *new_name,
		  struct fuse_entry_out *entry);

int vqsim_fs_open(struct vqsim_fs *fs, uint64_t node, uint32_t flags, struct vqsim_fs_file *file);
/* With a look-up of file->node. */
int vqsim_fs_create(struct vqsim_fs *fs, uint64_t parent, const char *name, uint32_t flags,
		    uint32_t mode, struct vqsim_fs_file *file);
int vqsim_fs_tmpfile(struct vqsim_fs *fs, uint64_t parent, uint32_t flags, uint32_t mode,
		     struct vqsim_fs_file *file);
int vqsim_fs_release(struct vqsim_fs *fs, const struct vqsim_fs_file *file);
int vqsim_fs_flush(struct vqsim_fs *fs, const struct vqsim_fs_file *file, uint64_t lock_owner);
int vqsim_fs_fsync(struct vqsim_fs *fs, const struct vqsim_fs_file *file, bool data_only);
int vqsim_fs_syncfs(struct vqsim_fs *fs, uint64_t node);

/* Bytes. size is at most the data_room, and max_write of the session. */
int64_t vqsim_fs_read(struct vqsim_fs *fs, const struct vqsim_fs_file *file, uint64_t offset,
		      void *to, uint32_t size);
int64_t vqsim_fs_write(struct vqsim_fs *fs, const struct vqsim_fs_file *file, uint64_t offset,
		       const void *from, uint32_t size);
int64_t vqsim_fs_copy_file_range(struct vqsim_fs *fs, const struct vqsim_fs_file *file,
				 uint64_t offset, const struct vqsim_fs_file *target,
				 uint64_t target_offset, uint64_t size);
/* The offset. */
int64_t vqsim_fs_lseek(struct vqsim_fs *fs, const struct vqsim_fs_file *file, uint64_t offset,
		       uint32_t whence);
int vqsim_fs_fallocate(struct vqsim_fs *fs, const struct vqsim_fs_file *file, uint32_t mode,
		       uint64_t offset, uint64_t size);
int vqsim_fs_statfs(struct vqsim_fs *fs, uint64_t node, struct fuse_kstatfs *statfs);

int vqsim_fs_setxattr(struct vqsim_fs *fs, uint64_t node, const char *name, const void *value,
		      uint32_t size, uint32_t flags);
/* Bytes; with size 0 only how many there are. */
int64_t vqsim_fs_getxattr(struct vqsim_fs *fs, uint64_t node, const char *name, void *value,
			  uint32_t size);
int64_t vqsim_fs_listxattr(struct vqsim_fs *fs, uint64_t node, char *names, uint32_t size);
int vqsim_fs_removexattr(struct vqsim_fs *fs, uint64_t node, const char *name);

/* fuse_flags: FUSE_LK_FLOCK. setlkw must be free to have: see vqsim_fs_do. */
int vqsim_fs_getlk(struct vqsim_fs *fs, const struct vqsim_fs_file *file, uint64_t owner,
		   struct fuse_file_lock *lock);
int vqsim_fs_setlk(struct vqsim_fs *fs, const struct vqsim_fs_file *file, uint64_t owner,
		   const struct fuse_file_lock *lock, uint32_t fuse_flags);
int vqsim_fs_setlkw(struct vqsim_fs *fs, const struct vqsim_fs_file *file, uint64_t owner,
		    const struct fuse_file_lock *lock, uint32_t fuse_flags);

/* 0: no reply came, the request was interrupted or is over; -EAGAIN: send it again. */
int vqsim_fs_interrupt(struct vqsim_fs *fs, uint64_t unique);

int vqsim_fs_opendir(struct vqsim_fs *fs, uint64_t node, struct vqsim_fs_file *file);
int vqsim_fs_releasedir(struct vqsim_fs *fs, const struct vqsim_fs_file *file);
int vqsim_fs_fsyncdir(struct vqsim_fs *fs, const struct vqsim_fs_file *file, bool data_only);

/* Entries of a directory in a buffer. */
struct vqsim_fs_dirents {
	const uint8_t *at;
	size_t left;
	bool plus;
	bool swapped;
};

struct vqsim_fs_dirent {
	uint64_t ino;
	uint64_t next; /* the offset to go on from */
	uint32_t type; /* DT_* */
	uint32_t name_size;
	char name[VQSIM_FS_NAME_MAX + 1];
	struct fuse_entry_out entry; /* readdirplus; nodeid 0: no look-up */
};

/* Bytes in buffer, 0 at the end of the directory; the entries are then taken one by one from *dirents. */
int64_t vqsim_fs_readdir(struct vqsim_fs *fs, const struct vqsim_fs_file *file, uint64_t offset,
			 void *buffer, uint32_t size, struct vqsim_fs_dirents *dirents);
int64_t vqsim_fs_readdirplus(struct vqsim_fs *fs, const struct vqsim_fs_file *file, uint64_t offset,
			     void *buffer, uint32_t size, struct vqsim_fs_dirents *dirents);

/* The entries in the reply to a READDIR or READDIRPLUS request. */
struct vqsim_fs_dirents vqsim_fs_dirents_of(const struct vqsim_fs *fs,
					    const struct vqsim_fs_request *request);

/* Returns false: there is none left, or it is malformed (left is not 0 then). */
bool vqsim_fs_dirents_next(struct vqsim_fs_dirents *dirents, struct vqsim_fs_dirent *dirent);

#ifdef __cplusplus
}
#endif

#endif
