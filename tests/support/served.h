/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `vqsim serve` in the background, in the folder of command.h, and a simulated guest that drives the
 * disk it serves.
 *
 * Failures end the cmocka test. Threads: one. Here the clock is read, by whoever waits.
 */
#ifndef TESTS_SUPPORT_SERVED_H
#define TESTS_SUPPORT_SERVED_H

#include <sys/types.h>

#include "command.h"
#include "vqsim/guest_blk.h"

struct served {
	pid_t pid;
	int out; /* its standard output and error */
	size_t size;
	char text[8192]; /* what it said so far */
};

/* Start it, with "serve" and args, and wait until it says that it is serving. */
void served_start(struct served *served, const char *const *args);

#define SERVED(served, ...) \
	served_start(served, (const char *const[COMMAND_ARGS_MAX]){__VA_ARGS__, NULL})

/* Wait until it has said a text. */
void served_says(struct served *served, const char *text);

/* Send it a signal (0: none) and wait for its end and the last of its words. Returns its exit status. */
int served_end(struct served *served, int number);

/* A guest that is up on the disk behind a socket. */
struct served_guest {
	struct vqsim_memory memory;
	struct virtio_device *device;
	struct vqsim_guest guest;
	struct vqsim_blk blk;
	struct vqsim_blk_request request; /* with room for 4096 bytes */
};

void served_guest_up(struct served_guest *guest, const char *socket);
void served_guest_down(struct served_guest *guest);

/* OUT and FLUSH, or IN, of 4096 bytes; they must succeed. */
void served_guest_write(struct served_guest *guest, uint64_t sector, uint8_t byte);
void served_guest_read(struct served_guest *guest, uint64_t sector, uint8_t byte);

#endif
