/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices that are wrong in how they take a chain: by its framing or by its length.
 */
#include "suite_wrong.h"
#include "wrong_chain.h"

extern const struct vqsim_wrong suite_wrong_chain[];

/* Descriptors that a device with a cap takes. */
#define CAP 5u

/* Framing */

static void header_whole(struct wrong_chain *chain)
{
	if (chain->elements[0].size < 16)
		wrong_chain_refuse(chain);
}

static void header_whole_packed(struct wrong_chain *chain)
{
	if (chain->packed)
		header_whole(chain);
}

static void header_alone(struct wrong_chain *chain)
{
	if (chain->elements[0].size != 16)
		wrong_chain_refuse(chain);
}

/* The header is read on behind its first piece, which only a request that lies in a row survives. */
static void header_in_a_row(struct wrong_chain *chain)
{
	for (unsigned i = 1; i < chain->readable; i++)
		if (chain->elements[i].bytes && chain->elements[i].bytes < chain->elements[0].bytes)
			wrong_chain_refuse(chain);
}

static void beside_a_piece(struct wrong_chain *chain)
{
	for (unsigned i = chain->readable; i + 1 < chain->count; i++)
		if (chain->elements[i].size == 1 &&
		    chain->elements[i].bytes > chain->elements[i + 1].bytes)
			chain->elements[i].bytes[1] = 0;
}

static void status_alone(struct wrong_chain *chain)
{
	if (chain->elements[chain->count - 1].size != 1)
		wrong_chain_refuse(chain);
}

static void nothing_empty(struct wrong_chain *chain)
{
	for (unsigned i = 0; i < chain->count; i++)
		if (chain->elements[i].size == 0)
			wrong_chain_refuse(chain);
}

/* Its sum of the lengths has 16 bits: what lies beyond is not written. */
static void sum_of_16_bits(struct wrong_chain *chain)
{
	uint32_t sum = 0;

	for (unsigned i = chain->readable; i < chain->count; i++) {
		sum += chain->elements[i].size;
		if (sum > UINT16_MAX)
			chain->elements[i].bytes[0] ^= 0xff;
	}
}

static void in_one_region(struct wrong_chain *chain)
{
	for (unsigned i = 0; i < chain->count; i++)
		if (chain->elements[i].size > 0 && !chain->elements[i].bytes)
			wrong_chain_refuse(chain);
}

/* The last byte of a region is outside, it thinks. */
static void short_of_the_end(struct wrong_chain *chain)
{
	for (unsigned i = 0; i < chain->count; i++) {
		struct wrong_desc desc = wrong_desc_get(chain, chain->elements[i].desc);

		if (chain->elements[i].bytes &&
		    !wrong_wrap_at(chain->wrap, desc.addr, desc.len + UINT64_C(1)))
			wrong_chain_refuse(chain);
	}
}

/* Caps */

static bool too_long_waits(struct virtio_device *dev, uint16_t index)
{
	static struct wrong_chain chain;

	return wrong_chain_gather(wrong_wrap_of(dev), index, &chain, 1) == 1 && chain.count > CAP;
}

static enum virtio_progress cap_by_reset(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	if (!too_long_waits(dev, index))
		return wrong_chain_progress(dev, index, budget);
	dev->transport_ops->needs_reset(dev->transport);
	return VIRTIO_IDLE;
}

static enum virtio_progress cap_in_silence(struct virtio_device *dev, uint16_t index,
					   uint32_t budget)
{
	return too_long_waits(dev, index) ? VIRTIO_IDLE : wrong_chain_progress(dev, index, budget);
}

static enum virtio_progress cap_for_ever(struct virtio_device *dev, uint16_t index, uint32_t budget)
{
	return too_long_waits(dev, index) ? VIRTIO_WORK_LEFT
					  : wrong_chain_progress(dev, index, budget);
}

/* What is asked for becomes something that nobody knows, which is answered with an error. */
static void ask_nonsense(struct wrong_chain *chain)
{
	if (chain->count <= CAP)
		return;
	chain->kept = chain->elements[0].bytes[0];
	chain->elements[0].bytes[0] = 0x7f;
}

static void ask_as_before(struct wrong_chain *chain)
{
	if (chain->count > CAP)
		chain->elements[0].bytes[0] = (uint8_t)chain->kept;
}

static void cut_short(struct wrong_chain *chain)
{
	if (chain->count > CAP)
		chain->elements[chain->count - 1].bytes[0] ^= 0xff;
}

static void no_status(struct wrong_chain *chain)
{
	if (chain->count > CAP)
		*chain->status = 0xff;
}

#define CAPPED(function)                                                    \
	.wrap_device = wrong_wrap_create, .how = &(const struct wrong_bend) \
	{                                                                   \
		.ops = {.progress = function},                              \
		.how = &(const struct wrong_chain_hooks){.before = NULL},   \
	}

/* Lists of a packed ring */

static void no_list_around_the_end(struct wrong_chain *chain)
{
	for (unsigned i = 1; i < chain->ring_count; i++)
		if (chain->ring[i] < chain->ring[i - 1])
			wrong_chain_refuse(chain);
}

static void pieces_swapped(struct wrong_chain *chain)
{
	struct wrong_element *first = &chain->elements[chain->readable];
	uint8_t byte = first[0].bytes[0];

	if (chain->count < chain->readable + 3)
		return;
	first[0].bytes[0] = first[1].bytes[0];
	first[1].bytes[0] = byte;
}

const struct vqsim_wrong suite_wrong_chain[] = {
	{.test = "chain_every_framing",
	 CHAIN_AFTER(header_whole),
	 .clause = "SPLIT-D-01",
	 .wrong = "a header in pieces is refused"},
	{.test = "chain_every_framing",
	 CHAIN_AFTER(header_whole_packed),
	 .clause = "SPLIT-D-01",
	 .wrong = "a header in pieces is refused (packed)"},
	{.test = "chain_every_framing",
	 CHAIN_AFTER(status_alone),
	 .clause = "SPLIT-D-01",
	 .wrong = "the status must stand alone"},
	{.test = "chain_every_framing",
	 .subject = "null",
	 CHAIN_AFTER(nothing_empty),
	 .clause = "SPLIT-D-01",
	 .wrong = "an empty descriptor is refused"},
	{.test = "chain_scattered",
	 CHAIN_AFTER(header_in_a_row),
	 .clause = "SPLIT-D-01",
	 .wrong = "a header is read in a row"},
	{.test = "chain_scattered",
	 CHAIN_AFTER(beside_a_piece),
	 .clause = "SPLIT-D-16",
	 .wrong = "two bytes are written where one is"},
	{.test = "chain_every_framing_blk",
	 CHAIN_AFTER(header_alone),
	 .clause = "SPLIT-D-01",
	 .wrong = "header and data are two descriptors"},
	{.test = "chain_large",
	 CHAIN_AFTER(sum_of_16_bits),
	 .clause = "SPLIT-D-01",
	 .wrong = "a sum of 16 bits"},
	{.test = "chain_at_borders",
	 CHAIN_AFTER(in_one_region),
	 .clause = "SPLIT-D-01",
	 .wrong = "a descriptor across regions is refused"},
	{.test = "chain_at_borders",
	 CHAIN_AFTER(short_of_the_end),
	 .clause = "SPLIT-D-01",
	 .wrong = "the last byte of a region is outside"},

	{.test = "chain_long",
	 CAPPED(cap_by_reset),
	 .tolerated = true,
	 .wrong = "a cap, then a reset (tolerated)"},
	{.test = "chain_long",
	 CHAIN_HOOKS(.before = ask_nonsense, .after = ask_as_before),
	 .tolerated = true,
	 .wrong = "a cap, then an error (tolerated)"},
	{.test = "chain_long",
	 CAPPED(cap_in_silence),
	 .clause = "SPLIT-D-02",
	 .wrong = "a cap in silence"},
	{.test = "chain_long",
	 CAPPED(cap_in_silence),
	 .clause = "PACKED-D-09",
	 .wrong = "a cap in silence (packed)"},
	{.test = "chain_long",
	 CAPPED(cap_for_ever),
	 .clause = "SPLIT-D-02",
	 .wrong = "a cap and no end"},
	{.test = "chain_long",
	 CAPPED(cap_for_ever),
	 .clause = "PACKED-D-09",
	 .wrong = "a cap and no end (packed)"},
	{.test = "chain_long",
	 CHAIN_AFTER(cut_short),
	 .clause = "SPLIT-D-02",
	 .wrong = "the rest of the data is lost"},
	{.test = "chain_long",
	 CHAIN_AFTER(cut_short),
	 .clause = "PACKED-D-09",
	 .wrong = "the rest of the data is lost (packed)"},
	{.test = "chain_long",
	 CHAIN_AFTER(no_status),
	 .clause = "SPLIT-D-02",
	 .wrong = "a cap and no status"},

	{.test = "chain_list_order",
	 CHAIN_AFTER(no_list_around_the_end),
	 .clause = "PACKED-D-08",
	 .wrong = "a list around the end of the ring is refused"},
	{.test = "chain_list_order",
	 .subject = "null",
	 CHAIN_AFTER(pieces_swapped),
	 .clause = "PACKED-D-08",
	 .wrong = "two elements change places"},
	{.test = NULL},
};
