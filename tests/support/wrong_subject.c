/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "wrong_subject.h"
#include "wrong_wrap.h"

/* The ops of blk:ram, which nothing but a subject of that name tells. */
static const struct vqsim_subject_ops *ram(void)
{
	const struct vqsim_subject_ops *ops;
	struct vqsim_subject subject;

	if (vqsim_subject_init(&subject, "blk:ram") != 0)
		abort();
	ops = subject.ops;
	vqsim_subject_finish(&subject);
	return ops;
}

static int create(const struct vqsim_subject *subject, const struct vqsim_subject_options *options,
		  struct virtio_device **device, void **instance)
{
	return ram()->create(subject, options, device, instance);
}

static int create_writable(const struct vqsim_subject *subject,
			   const struct vqsim_subject_options *given, struct virtio_device **device,
			   void **instance)
{
	struct vqsim_subject_options options = *given;

	options.read_only = false;
	return ram()->create(subject, &options, device, instance);
}

static void destroy(void *instance)
{
	ram()->destroy(instance);
}

static int peek(void *instance, uint64_t offset, void *to, uint64_t size)
{
	return ram()->peek(instance, offset, to, size);
}

static int poke(void *instance, uint64_t offset, const void *from, uint64_t size)
{
	return ram()->poke(instance, offset, from, size);
}

static void facts_worn(void *instance, struct vqsim_subject_facts *facts)
{
	ram()->facts(instance, facts);
	facts->lifetime = true;
}

const struct vqsim_subject_ops wrong_subject_writable = {
	.create = create_writable,
	.destroy = destroy,
	.peek = peek,
	.poke = poke,
};

const struct vqsim_subject_ops wrong_subject_worn = {
	.create = create,
	.destroy = destroy,
	.facts = facts_worn,
	.peek = peek,
	.poke = poke,
};
