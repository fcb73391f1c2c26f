/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A backend of somebody else, behind a vhost-user socket, as a subject. Each case has a
 * connection of its own: what the last one left behind in the backend, its end has undone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_ids.h>

#include "subject_internal.h"
#include "suite.h"
#include "../remote.h"
#include "../../devices/serve/vhost_user_wire.h"

#define PREFIX "vhost-user:"

/* Elements of a ring that every backend takes. */
#define SURE_SIZE 1024u

/* A process closes its sockets shortly before it has ended, ms. */
#define DEATH_PATIENCE 100

struct plan {
	char *path;
	uint32_t device_id;
	bool forgets;
	uint16_t queue_count;               /* that it has */
	struct vqsim_remote_server *server; /* NULL: somebody else's */
	int dead;                           /* what a connection failed with: no other is tried */
};

struct instance {
	struct virtio_device *device;
	struct plan *plan;
};

static const struct {
	const char *name;
	uint32_t id;
	bool forgets;
} kinds[] = {
	{",blk", VIRTIO_ID_BLOCK, false},
	{",fs", VIRTIO_ID_FS, false},
	{",zero", VIRTIO_ID_BLOCK, true},
};

/* A backend can be asked for nothing but a number of queues. */
static bool asks_more(const struct vqsim_subject_options *options)
{
	return options->size || options->block_size || options->id || options->read_only ||
	       options->tag || options->queue_size_max > SURE_SIZE;
}

/* A file-system device with one request queue is made to do for cases that need no more. */
static uint16_t queues_of(const struct plan *plan, const struct vqsim_subject_options *options)
{
	uint16_t count = options->queue_count;

	if (count == 0 || plan->device_id != VIRTIO_ID_FS)
		return count;
	return count == 1 && plan->queue_count == 2 ? 2 : count + 2;
}

static int create(const struct vqsim_subject *subject, const struct vqsim_subject_options *options,
		  struct virtio_device **device, void **opaque)
{
	struct plan *plan = subject->opaque;
	const struct vqsim_remote_options remote = {
		.path = plan->path,
		.server = plan->server,
		.device_id = plan->device_id,
		.queue_count = queues_of(plan, options),
		.queue_size_max = options->queue_size_max,
		.patient = true,
	};
	struct instance *instance;
	int error;

	if (asks_more(options))
		return -ENOTSUP;
	if (plan->dead)
		return plan->dead;
	instance = calloc(1, sizeof(*instance));
	if (!instance)
		return -ENOMEM;
	error = vqsim_remote_create(&instance->device, &remote, NULL);
	if (error) {
		free(instance);
		plan->dead = error == -ENOTSUP ? 0 : error;
		return error;
	}
	instance->plan = plan;
	*device = instance->device;
	*opaque = instance;
	return 0;
}

static void destroy(void *opaque)
{
	struct instance *instance = opaque;

	instance->device->ops->destroy(instance->device);
	/* Cases lay the pattern on a disk anew; a tree must be as it was at first. */
	if (instance->plan->server && instance->plan->device_id == VIRTIO_ID_FS)
		vqsim_remote_server_stop(instance->plan->server);
	free(instance);
}

static void facts(void *opaque, struct vqsim_subject_facts *facts)
{
	facts->forgets = ((struct instance *)opaque)->plan->forgets;
}

static const char *fault(void *opaque)
{
	struct instance *instance = opaque;
	const char *death = NULL;

	if (instance->plan->server)
		death = vqsim_remote_server_death(
			instance->plan->server,
			vqsim_remote_is_gone(instance->device) ? DEATH_PATIENCE : 0);
	return death ? death : vqsim_remote_fault(instance->device);
}

static void linger(void *opaque)
{
	vqsim_remote_linger(((struct instance *)opaque)->device);
}

static int own_status(void *opaque)
{
	return vqsim_remote_status(((struct instance *)opaque)->device);
}

static const struct vqsim_subject_ops remote_ops = {
	.create = create,
	.destroy = destroy,
	.facts = facts,
	.fault = fault,
	.linger = linger,
	.own_status = own_status,
};

/* "PATH", or one of the kinds behind it. Returns 0, -EINVAL or -ENOMEM. */
static int parse(struct plan *plan, const char *place)
{
	size_t size = strlen(place);

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t end = strlen(kinds[i].name);

		if (size < end || strcmp(place + size - end, kinds[i].name) != 0)
			continue;
		plan->device_id = kinds[i].id;
		plan->forgets = kinds[i].forgets;
		size -= end;
		break;
	}
	if (size == 0)
		return -EINVAL;
	plan->path = strndup(place, size);
	return plan->path ? 0 : -ENOMEM;
}

static void note_hidden(struct vqsim_subject *subject, const struct virtio_device *device)
{
	uint64_t protocol = vqsim_remote_protocol(device);
	uint64_t status = VIRTIO_FEATURE(VHOST_USER_PROTOCOL_F_STATUS);

	subject->no_config = !vqsim_remote_has_config(device);
	subject->no_status = !(protocol & status);
	subject->no_answer =
		!(protocol & (status | VIRTIO_FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK)));
}

/* A first connection, to learn what it is. */
static int probe(struct vqsim_subject *subject, char text[VQSIM_REMOTE_TEXT])
{
	struct plan *plan = subject->opaque;
	const struct vqsim_remote_options options = {
		.path = plan->path, .server = plan->server, .device_id = plan->device_id};
	struct virtio_device *device;
	int error = vqsim_remote_create(&device, &options, text);

	if (error)
		return error;
	plan->device_id = device->ops->device_id;
	plan->queue_count = device->ops->queue_count(device);
	note_hidden(subject, device);
	device->ops->destroy(device);
	return 0;
}

void vqsim_subject_remote_finish(struct vqsim_subject *subject)
{
	struct plan *plan = subject->opaque;

	if (plan) {
		vqsim_remote_server_destroy(plan->server);
		free(plan->path);
	}
	free(plan);
}

bool vqsim_subject_is_remote(const char *name)
{
	return strncmp(name, PREFIX, sizeof(PREFIX) - 1) == 0;
}

int vqsim_subject_remote_init(struct vqsim_subject *subject, const char *name, const char *command,
			      char text[VQSIM_REMOTE_TEXT])
{
	struct plan *plan = calloc(1, sizeof(*plan));
	int error = plan ? 0 : -ENOMEM;

	*subject = (struct vqsim_subject){
		.name = name, .ops = &remote_ops, .opaque = plan, .elsewhere = true};
	if (text)
		text[0] = '\0';
	if (!error)
		error = parse(plan, name + sizeof(PREFIX) - 1);
	if (!error && command)
		error = vqsim_remote_server_create(&plan->server, command);
	if (!error)
		error = probe(subject, text);
	if (error) {
		vqsim_subject_remote_finish(subject);
		*subject = (struct vqsim_subject){.name = NULL};
	}
	return error;
}
