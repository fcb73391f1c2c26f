/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The walls round a process that serves a device to strangers: if one of them takes it over, he
 * has the disk or the directory that it serves, and little else.
 *
 *   users, processes   namespaces of its own: it can name no other process
 *   mounts             of the host's files it sees the directory that it serves, or none
 *   files              in the place of that: no other ones can be opened or changed
 *   network, ipc       namespaces with nothing in them
 *   capabilities       none, or those about files and their owners; no new privileges, ever
 *   system calls       those that serving needs; another one ends the process (SIGSYS)
 *
 * What this host or user does not allow of the namespaces and files is left out and can be told
 * (sandbox_tell); without capabilities and system calls there is no sandbox.
 *
 * The order: sandbox_fork, early and with one thread; in the new process sandbox_isolate, then
 * the device is made, then sandbox_seal, then threads may be made and a peer's first byte read.
 * What is open stays open: the caller closes what would be a way out, such as a directory.
 * A process that is sealed ends with _exit: what sanitizers and profilers do at exit it may not.
 *
 * Threads: one caller; sandbox_seal holds for threads that are made after it.
 */
#ifndef DEVICES_SERVE_SANDBOX_H
#define DEVICES_SERVE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SANDBOX_API_MAJOR 0
#define SANDBOX_API_MINOR 1

/* Bits of sandbox.parts: what holds. */
enum sandbox_part {
	SANDBOX_USERS = 1, /* only where it is needed for the others: without CAP_SYS_ADMIN */
	SANDBOX_PROCESSES = 2,
	SANDBOX_MOUNTS = 4,
	SANDBOX_NETWORK = 8,
	SANDBOX_IPC = 16,
	SANDBOX_CAPABILITIES = 32,
	SANDBOX_SYSTEM_CALLS = 64,
	SANDBOX_FILES = 128, /* in the place of SANDBOX_MOUNTS, with a directory */
};

/* The caller fills the first two, and zeroes the rest. */
struct sandbox {
	/*
	 * The device opens, makes and changes files below it by name (a dir tree). Afterwards it is
	 * where sandbox_isolate says. NULL: it has what it needs open (a disk), or needs no file.
	 *
	 * An ordinary user keeps his user namespace for it, because in another one the owners of
	 * files would look different; so he can have no other namespace either.
	 */
	const char *directory;
	bool read_only; /* and so is its mount */

	unsigned parts;
};

/*
 * fork(2) into new namespaces of users and processes where allowed. The new process ends with
 * its parent, however that ends. Returns as fork: 0 in the new one, its id, or -errno, which the new
 * one may get too: then it is to end.
 */
pid_t sandbox_fork(struct sandbox *sandbox);

/*
 * Enter the other namespaces where allowed. *directory: where the directory is now; NULL if there
 * is none. Returns 0; -errno: it cannot be opened, or the host failed half-way.
 */
int sandbox_isolate(struct sandbox *sandbox, const char **directory);

/* Drop the capabilities and bar the system calls. Returns 0; -errno: then do not serve. */
int sandbox_seal(struct sandbox *sandbox);

/* "mounts, network; not allowed here: processes": what holds, as text of one line. */
void sandbox_tell(const struct sandbox *sandbox, char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
