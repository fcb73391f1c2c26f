/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A seeded random mix: every type of request that was negotiated, many sizes, and
 * any framing into descriptors that the standard allows (2.7.4.1).
 */
#include "workload.h"

#include <endian.h>
#include <string.h>

#include <linux/virtio_ring.h>

/* Sizes that cuts often have: around the header, the sector, the page. */
static const uint32_t odd_sizes[] = {1, 2, 7, 8, 15, 16, 17, 511, 512, 513, 4095, 4096};

#define ODD_SIZE_COUNT (sizeof(odd_sizes) / sizeof(odd_sizes[0]))
#define HEADER_SIZE    16u

/* More in one request would leave little on the disk that is not zero. */
#define SEGMENTS_MAX 8u

/* Out of 100 requests, so many of each type. */
static const unsigned char shares[WORKLOAD_TYPE_COUNT] = {
	[WORKLOAD_IN] = 42,    [WORKLOAD_OUT] = 40,    [WORKLOAD_FLUSH] = 5,
	[WORKLOAD_GET_ID] = 3, [WORKLOAD_DISCARD] = 5, [WORKLOAD_WRITE_ZEROES] = 5,
};

static uint32_t at_most(uint32_t value, uint32_t limit)
{
	return value < limit ? value : limit;
}

void mix_init(struct workload *w)
{
	struct workload_limits *l = &w->limits;
	struct virtio_blk_config config = {0};
	uint32_t seg_max;

	virtio_transport_config_read(&w->session->guest.link.transport, 0, &config,
				     offsetof(struct virtio_blk_config, max_secure_erase_sectors));
	l->unit = w->session->block_size / VQSIM_DISK_SECTOR;
	l->flush = workload_has(w, VIRTIO_BLK_F_FLUSH);
	if (workload_has(w, VIRTIO_BLK_F_DISCARD))
		l->discard_sectors = le32toh(config.max_discard_sectors);
	l->discard_segments = le32toh(config.max_discard_seg);
	if (workload_has(w, VIRTIO_BLK_F_WRITE_ZEROES))
		l->zeroes_sectors = le32toh(config.max_write_zeroes_sectors);
	l->zeroes_segments = le32toh(config.max_write_zeroes_seg);
	l->may_unmap = config.write_zeroes_may_unmap != 0;
	/* seg_max limits the data; a chain is never longer than the ring (2.7.5.3.1). */
	seg_max = workload_has(w, VIRTIO_BLK_F_SEG_MAX) ? le32toh(config.seg_max) : UINT16_MAX;
	l->descriptors = at_most(at_most(seg_max, UINT16_MAX) + 2, w->options->queue_size);
}

static bool possible(const struct workload *w, enum workload_type type)
{
	if (type == WORKLOAD_FLUSH)
		return w->limits.flush;
	if (type == WORKLOAD_DISCARD)
		return w->limits.discard_sectors > 0;
	return type != WORKLOAD_WRITE_ZEROES || w->limits.zeroes_sectors > 0;
}

static enum workload_type choose_type(struct workload *w)
{
	uint64_t pick = random_below(&w->random, 100);
	unsigned type = 0;

	while (pick >= shares[type])
		pick -= shares[type++];
	return possible(w, type) ? (enum workload_type)type : WORKLOAD_IN;
}

/*
 * A range of whole logical blocks, of at most max sectors. Small ones and the
 * largest are as frequent as all between; a quarter lies in the first MiB, so
 * that requests meet each other.
 */
static uint32_t choose_range(struct workload *w, uint32_t max, uint64_t *sector)
{
	uint32_t unit = w->limits.unit;
	uint64_t blocks = w->session->size / w->session->block_size;
	uint32_t most = (uint32_t)(max / unit < blocks ? max / unit : blocks);
	uint32_t n = 1 + (uint32_t)random_below(&w->random, most);
	uint64_t places;

	switch (random_below(&w->random, 4)) {
	case 0:
		n = at_most(n, 8);
		break;
	case 1:
		n = most;
		break;
	}
	places = blocks - n + 1;
	if (random_below(&w->random, 4) == 0 && places > 2048)
		places = 2048 / unit;
	*sector = random_below(&w->random, places) * unit;
	return n * unit;
}

static void set_transfer(struct workload *w, struct workload_slot *slot)
{
	struct vqsim_blk_request *r = &slot->request;
	uint32_t most = w->options->block_size / VQSIM_DISK_SECTOR;

	r->data_size = choose_range(w, most, &r->sector) * VQSIM_DISK_SECTOR;
	if (slot->type == WORKLOAD_OUT)
		random_pattern(r->out_data, r->data_size, random_next(&w->random), r->sector);
}

/* Of DISCARD or WRITE_ZEROES, of at most limit sectors. */
static struct virtio_blk_discard_write_zeroes
choose_segment(struct workload *w, enum workload_type type, uint32_t limit)
{
	struct virtio_blk_discard_write_zeroes segment = {0};
	uint32_t most = at_most(limit, w->options->block_size / VQSIM_DISK_SECTOR);
	uint64_t sector;

	segment.num_sectors = htole32(choose_range(w, most, &sector));
	segment.sector = htole64(sector);
	if (type == WORKLOAD_WRITE_ZEROES && w->limits.may_unmap)
		segment.flags = htole32((uint32_t)random_below(&w->random, 2));
	return segment;
}

/* Half of the requests have one segment, the others up to max. */
static void set_segments(struct workload *w, struct workload_slot *slot, uint32_t max,
			 uint32_t limit)
{
	struct vqsim_blk_request *r = &slot->request;
	struct virtio_blk_discard_write_zeroes segment;
	uint32_t count = 1, i;

	max = at_most(max, r->data_room / sizeof(segment));
	if (random_below(&w->random, 2) == 0)
		count = 1 + (uint32_t)random_below(&w->random, at_most(max, SEGMENTS_MAX));
	for (i = 0; i < count; i++) {
		segment = choose_segment(w, slot->type, limit);
		memcpy(r->out_data + i * sizeof(segment), &segment, sizeof(segment));
	}
	r->data_size = count * sizeof(segment);
}

static void set_content(struct workload *w, struct workload_slot *slot)
{
	struct vqsim_blk_request *r = &slot->request;

	r->sector = 0;
	r->data_size = 0;
	switch (slot->type) {
	case WORKLOAD_IN:
	case WORKLOAD_OUT:
		set_transfer(w, slot);
		break;
	case WORKLOAD_DISCARD:
		set_segments(w, slot, w->limits.discard_segments, w->limits.discard_sectors);
		break;
	case WORKLOAD_WRITE_ZEROES:
		set_segments(w, slot, w->limits.zeroes_segments, w->limits.zeroes_sectors);
		break;
	case WORKLOAD_GET_ID:
		r->data_size = BLK_ID_SIZE;
		break;
	default:
		break;
	}
}

/*
 * Cut size bytes at random into at most max + 1 descriptors, none of them empty.
 * Returns the number of cuts.
 */
static uint16_t choose_cuts(struct workload *w, uint32_t *cuts, unsigned max, uint32_t size)
{
	unsigned n = (unsigned)random_below(&w->random, at_most(max, WORKLOAD_CUTS_MAX) + 1);
	unsigned i;

	for (i = 0; i < n && size > 1; i++) {
		cuts[i] = random_below(&w->random, 2) == 0
				  ? odd_sizes[random_below(&w->random, ODD_SIZE_COUNT)]
				  : 1 + (uint32_t)random_below(&w->random, size - 1);
		cuts[i] = at_most(cuts[i], size - 1);
		size -= cuts[i];
	}
	return (uint16_t)i;
}

/* Half of the requests have the usual framing, the others any. */
static void set_framing(struct workload *w, struct workload_slot *slot)
{
	struct vqsim_blk_request *r = &slot->request;
	bool in = slot->type == WORKLOAD_IN || slot->type == WORKLOAD_GET_ID;
	unsigned spare = w->limits.descriptors - 2;

	r->readable_cuts = r->writable_cuts = NULL;
	r->readable_cut_count = r->writable_cut_count = 0;
	if (random_below(&w->random, 2) == 0)
		return;
	r->readable_cuts = slot->readable_cuts;
	r->writable_cuts = slot->writable_cuts;
	r->readable_cut_count =
		choose_cuts(w, slot->readable_cuts, spare, HEADER_SIZE + (in ? 0 : r->data_size));
	r->writable_cut_count = choose_cuts(w, slot->writable_cuts, spare - r->readable_cut_count,
					    1 + (in ? r->data_size : 0));
}

/* At least two descriptors are left for the table: a chain has that many (2.7.5.3). */
static void set_layout(struct workload *w, struct workload_slot *slot)
{
	struct vqsim_blk_request *r = &slot->request;

	r->indirect =
		w->options->indirect == RUN_INDIRECT_ALWAYS ||
		(w->options->indirect == RUN_INDIRECT_AUTO && random_below(&w->random, 2) == 0);
	r->direct = r->indirect ? (uint16_t)random_below(&w->random, 2) : 0;
}

void mix_prepare(struct workload *w, struct workload_slot *slot, uint64_t index)
{
	(void)index;
	slot->type = choose_type(w);
	set_content(w, slot);
	set_framing(w, slot);
	set_layout(w, slot);
}
