/* SPDX-License-Identifier: BSD-3-Clause */
#include "decode.h"

#include <stdbool.h>

#include "forms.h"
#include "devices/transport.h"

/* Ends of ranges, sizes of things, and where the regions of a player begin and end. */
static const uint64_t constants[] = {
	0,
	1,
	2,
	3,
	4,
	5,
	6,
	7,
	8,
	15,
	16,
	17,
	31,
	32,
	63,
	64,
	127,
	128,
	255,
	256,
	511,
	512,
	513,
	1023,
	1024,
	4095,
	4096,
	16 * 64,
	16 * 1024,
	16 * 1025,
	0x7fff,
	0x8000,
	0xfffe,
	0xffff,
	0x10000,
	0x10008,
	0x20000,
	0xfffff,
	0x100000,
	0x101fff,
	0x102000,
	0x103000,
	0x106ff0,
	0x106fff,
	0x107000,
	0x7fffffff,
	0x80000000,
	0xfffff000,
	0xfffffff0,
	0xffffffff,
	UINT64_C(1) << 32,
	UINT64_C(1) << 55,
	UINT64_MAX / 512,
	UINT64_MAX / 512 + 1,
	UINT64_MAX - 4096,
	UINT64_MAX - 15,
	UINT64_MAX - 1,
	UINT64_MAX,
};

#define CONSTANT_COUNT (sizeof(constants) / sizeof(constants[0]))

/* Features, one a bit, the first eight in FEATURES; the bring-up takes those that are offered. */
static const unsigned feature_bits[] = {
	VIRTIO_RING_F_EVENT_IDX,
	VIRTIO_RING_F_INDIRECT_DESC,
	VIRTIO_BLK_F_FLUSH,
	VIRTIO_BLK_F_CONFIG_WCE,
	VIRTIO_BLK_F_DISCARD,
	VIRTIO_BLK_F_WRITE_ZEROES,
	VIRTIO_BLK_F_MQ,
	VIRTIO_BLK_F_SEG_MAX,
	VIRTIO_F_RING_PACKED,
	VIRTIO_F_IN_ORDER,
	VIRTIO_TRANSPORT_F_NOTIFICATION_DATA,
	VIRTIO_TRANSPORT_F_RING_RESET,
	VIRTIO_BLK_F_BLK_SIZE,
	VIRTIO_BLK_F_TOPOLOGY,
};

#define FEATURES_FEW 8u
#define FEATURES_ALL (sizeof(feature_bits) / sizeof(feature_bits[0]))

/* Sizes that most block requests have. */
static const uint32_t data_sizes[8] = {0, 512, 1024, 1536, 2048, 16, 32, 48};

/* Below this, a byte stands for one of a few usual values. */
#define USUAL 192u

/* Counts of pieces: usual ones are below this, others stand as byte - 128. */
#define PIECES_USUAL 6u

/* Ring sizes: powers of two are below this, others stand as byte - 127. */
#define RING_SIZES_USUAL 128u

/* Sectors of the disk, and some behind it. */
#define SECTORS_USUAL 72u

struct input {
	const uint8_t *data;
	size_t size;
};

static uint64_t take(struct input *in, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes && in->size > 0; i++) {
		value |= (uint64_t)*in->data++ << (8 * i);
		in->size--;
	}
	return value;
}

static uint64_t take_value(struct input *in)
{
	uint64_t choice = take(in, 1);

	return choice == FUZZ_LITERAL ? take(in, 8) : constants[choice % CONSTANT_COUNT];
}

static uint16_t take_pieces(struct input *in)
{
	uint64_t byte = take(in, 1);

	return (uint16_t)(byte < 128 ? byte % PIECES_USUAL : byte - 128);
}

static uint32_t take_data(struct input *in)
{
	uint64_t byte = take(in, 1);

	return byte < USUAL ? data_sizes[byte % 8] : (uint32_t)take(in, 2);
}

static uint64_t take_sector(struct input *in)
{
	uint64_t byte = take(in, 1);

	return byte < USUAL ? byte % SECTORS_USUAL : take_value(in);
}

static uint64_t take_features(struct input *in, unsigned count)
{
	uint64_t bits = take(in, (count + 7) / 8), features = 0;

	for (unsigned i = 0; i < count; i++)
		if (bits >> i & 1)
			features |= VIRTIO_FEATURE(feature_bits[i]);
	return features;
}

static uint32_t take_ring_size(struct input *in)
{
	uint64_t byte = take(in, 1);

	return (uint32_t)(byte < RING_SIZES_USUAL ? 1u << byte % 7
						  : 1 + byte % VQSIM_PLAYER_QUEUE_SIZE);
}

static void take_field(struct input *in, const struct form *form, enum field_kind field,
		       struct vqsim_op *op)
{
	switch (field) {
	case NO_FIELD:
		break;
	case QUEUE:
		op->queue = take(in, 1) % VQSIM_PLAYER_QUEUES;
		break;
	case WHAT:
		op->what = (uint8_t)(take(in, 1) % form->whats);
		break;
	case LAYOUT:
		op->layout = take(in, 1) % VQSIM_LAYOUT_COUNT;
		break;
	case PLACE:
		op->place = take(in, 1) % VQSIM_PLACE_COUNT;
		break;
	case AT:
		op->at = (uint8_t)take(in, 1);
		break;
	case COUNT:
		op->count = (uint16_t)take(in, 1);
		break;
	case READABLE:
		op->readable = take_pieces(in);
		break;
	case WRITABLE:
		op->writable = take_pieces(in);
		break;
	case BYTES:
		op->size = (uint32_t)take_value(in) & 0xfffff;
		break;
	case DATA:
		op->size = take_data(in);
		break;
	case RING_SIZE:
		op->size = 1u << take(in, 1) % 7;
		break;
	case ANY_RING_SIZE:
		op->size = take_ring_size(in);
		break;
	case FEATURES:
		op->value = take_features(in, FEATURES_FEW);
		break;
	case ALL_FEATURES:
		op->value = take_features(in, FEATURES_ALL);
		break;
	case PACKED_FEATURES:
		op->value = take_features(in, FEATURES_ALL) | VIRTIO_FEATURE(VIRTIO_F_RING_PACKED);
		break;
	case BYTES_VALUE:
		op->value = take_value(in) & 0xfffff;
		break;
	case SECTOR:
		op->value = take_sector(in);
		break;
	case VALUE:
		op->value = take_value(in);
		break;
	case SMALL_VALUE:
		op->value = take(in, 2);
		break;
	case TINY_VALUE:
		op->value = take(in, 1);
		break;
	case TINY_SIZE:
		op->size = (uint32_t)take(in, 1);
		break;
	}
}

static struct vqsim_op take_op(struct input *in, const struct form *form)
{
	struct vqsim_op op = {.code = form->code};

	for (unsigned i = 0; i < FIELDS_MAX && form->fields[i] != NO_FIELD; i++)
		take_field(in, form, form->fields[i], &op);
	return op;
}

static const struct form *form_of(const struct fuzz_dialect *dialect, uint8_t choice)
{
	const struct form *form = dialect->forms;

	while (choice >= form->weight && form + 1 < dialect->forms + dialect->count) {
		choice = (uint8_t)(choice - form->weight);
		form++;
	}
	return form;
}

static const enum vqsim_op_code round_trip[] = {VQSIM_OP_PUBLISH, VQSIM_OP_RUN, VQSIM_OP_REAP};

#define ROUND_TRIP_OPS (sizeof(round_trip) / sizeof(round_trip[0]))

unsigned fuzz_decode(const struct fuzz_dialect *dialect, const uint8_t *data, size_t size,
		     struct vqsim_op *ops)
{
	struct input in = {data, size};
	unsigned count = 0;

	ops[count++] = take_op(&in, &dialect->up);
	while (in.size > 0 && count + ROUND_TRIP_OPS <= FUZZ_OPS_MAX) {
		struct vqsim_op op = take_op(&in, form_of(dialect, (uint8_t)take(&in, 1)));

		if (op.code != ROUND_TRIP) {
			ops[count++] = op;
			continue;
		}
		for (unsigned i = 0; i < ROUND_TRIP_OPS; i++)
			ops[count++] = (struct vqsim_op){.code = round_trip[i], .queue = op.queue};
	}
	return count;
}

struct output {
	uint8_t *data;
	size_t size;
	size_t room;
	bool failed;
};

static void put(struct output *out, uint64_t value, unsigned bytes)
{
	if (out->room - out->size < bytes) {
		out->failed = true;
		return;
	}
	for (unsigned i = 0; i < bytes; i++)
		out->data[out->size++] = (uint8_t)(value >> (8 * i));
}

static void put_value(struct output *out, uint64_t value)
{
	unsigned i = 0;

	while (i < CONSTANT_COUNT && constants[i] != value)
		i++;
	if (i < CONSTANT_COUNT) {
		put(out, i, 1);
	} else {
		put(out, FUZZ_LITERAL, 1);
		put(out, value, 8);
	}
}

static unsigned log2_of(uint32_t value)
{
	unsigned log = 0;

	while (value >> (log + 1))
		log++;
	return log;
}

static void put_pieces(struct output *out, uint16_t pieces)
{
	put(out, pieces < PIECES_USUAL ? pieces : 128u + pieces, 1);
}

static void put_data(struct output *out, uint32_t size)
{
	unsigned i = 0;

	while (i < 8 && data_sizes[i] != size)
		i++;
	put(out, i < 8 ? i : USUAL, 1);
	if (i == 8)
		put(out, size, 2);
}

static void put_sector(struct output *out, uint64_t sector)
{
	put(out, sector < SECTORS_USUAL ? sector : USUAL, 1);
	if (sector >= SECTORS_USUAL)
		put_value(out, sector);
}

static void put_features(struct output *out, uint64_t features, unsigned count)
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < count; i++)
		if (features & VIRTIO_FEATURE(feature_bits[i]))
			bits |= 1u << i;
	put(out, bits, (count + 7) / 8);
}

static void put_ring_size(struct output *out, uint32_t size)
{
	bool usual = (size & (size - 1)) == 0;

	put(out, usual ? log2_of(size) : RING_SIZES_USUAL - 1 + size, 1);
}

static void put_field(struct output *out, enum field_kind field, const struct vqsim_op *op)
{
	switch (field) {
	case NO_FIELD:
		break;
	case QUEUE:
		put(out, op->queue, 1);
		break;
	case WHAT:
		put(out, op->what, 1);
		break;
	case LAYOUT:
		put(out, op->layout, 1);
		break;
	case PLACE:
		put(out, op->place, 1);
		break;
	case AT:
		put(out, op->at, 1);
		break;
	case COUNT:
		put(out, op->count, 1);
		break;
	case READABLE:
		put_pieces(out, op->readable);
		break;
	case WRITABLE:
		put_pieces(out, op->writable);
		break;
	case BYTES:
		put_value(out, op->size);
		break;
	case DATA:
		put_data(out, op->size);
		break;
	case RING_SIZE:
		put(out, log2_of(op->size), 1);
		break;
	case ANY_RING_SIZE:
		put_ring_size(out, op->size);
		break;
	case FEATURES:
		put_features(out, op->value, FEATURES_FEW);
		break;
	case ALL_FEATURES:
	case PACKED_FEATURES:
		put_features(out, op->value, FEATURES_ALL);
		break;
	case SECTOR:
		put_sector(out, op->value);
		break;
	case BYTES_VALUE:
	case VALUE:
		put_value(out, op->value);
		break;
	case SMALL_VALUE:
		put(out, op->value, 2);
		break;
	case TINY_VALUE:
		put(out, op->value, 1);
		break;
	case TINY_SIZE:
		put(out, op->size, 1);
		break;
	}
}

/* The first byte that chooses the form of a code. NULL: the dialect has none. */
static const struct form *form_for(const struct fuzz_dialect *dialect, enum vqsim_op_code code,
				   uint8_t *choice)
{
	*choice = 0;
	for (unsigned i = 0; i < dialect->count; i++) {
		if (dialect->forms[i].code == code)
			return &dialect->forms[i];
		*choice = (uint8_t)(*choice + dialect->forms[i].weight);
	}
	return NULL;
}

static bool same(const struct vqsim_op *a, const struct vqsim_op *b)
{
	return a->code == b->code && a->queue == b->queue && a->what == b->what &&
	       a->layout == b->layout && a->place == b->place && a->at == b->at &&
	       a->count == b->count && a->readable == b->readable && a->writable == b->writable &&
	       a->size == b->size && a->value == b->value;
}

/* What comes out must be what went in: fields that a form lacks or cannot hold show here. */
static void put_op(struct output *out, const struct form *form, const struct vqsim_op *op)
{
	size_t start = out->size;
	struct input in;
	struct vqsim_op back;

	for (unsigned i = 0; i < FIELDS_MAX && form->fields[i] != NO_FIELD; i++)
		put_field(out, form->fields[i], op);
	in = (struct input){out->data + start, out->size - start};
	back = take_op(&in, form);
	out->failed |= !same(&back, op);
}

static void put_choice(struct output *out, const struct fuzz_dialect *dialect,
		       const struct vqsim_op *op)
{
	uint8_t choice;
	const struct form *form = form_for(dialect, op->code, &choice);

	if (form) {
		put(out, choice, 1);
		put_op(out, form, op);
	}
	out->failed |= !form;
}

size_t fuzz_encode(const struct fuzz_dialect *dialect, const struct vqsim_op *ops, unsigned count,
		   uint8_t *data, size_t room)
{
	struct output out = {.data = data, .room = room};

	put_op(&out, &dialect->up, &ops[0]);
	for (unsigned i = 1; i < count; i++)
		put_choice(&out, dialect, &ops[i]);
	return out.failed ? 0 : out.size;
}
