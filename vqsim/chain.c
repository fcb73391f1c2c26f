/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The framings of a walk are numbered, and each is made from its number alone: that
 * needs no state, and any of them can be had again.
 */
#include "chain.h"
#include "misuse_internal.h"

unsigned vqsim_chain_cut(struct vqsim_element *out, unsigned max, uint64_t gpa, uint32_t size,
			 bool write, const uint32_t *sizes, unsigned size_count)
{
	unsigned count = 0;

	/* One round more than there are sizes: for what they leave over. */
	for (unsigned i = 0; i <= size_count; i++) {
		bool asked = i < size_count && sizes[i] < size;
		uint32_t len = asked ? sizes[i] : size;
		bool empty_wanted = i < size_count && sizes[i] == 0;

		if (len == 0 && !empty_wanted)
			continue;
		if (count == max)
			vqsim_misuse(__func__, "more than %u elements", max);
		out[count++] = (struct vqsim_element){.gpa = gpa, .len = len, .write = write};
		gpa += len;
		size -= len;
	}
	return count;
}

/* One framing of a run, for vqsim_chain_cut. */
struct cut {
	unsigned count;
	uint32_t sizes[VQSIM_LAYOUT_PIECES_MAX + 1];
};

enum phase {
	READABLE,
	WRITABLE,
	BOTH,
	RANDOM,
	PHASES,
};

/* How one framing stands in the ring: direct, all in a table, or so many before it. */
enum form {
	DIRECT,
	TABLE,
	AFTER_1,
	AFTER_2,
	AFTER_3,
	AFTER_ALL_BUT_ONE,
	FORMS,
};

#define POINTS_LARGE 12u

static uint32_t points(uint32_t size)
{
	if (size < 2)
		return 0;
	return size <= VQSIM_LAYOUT_SMALL ? size - 1 : POINTS_LARGE;
}

/* Point number index of a run, ascending. */
static uint32_t point(uint32_t size, uint32_t index)
{
	const uint32_t large[POINTS_LARGE] = {
		1, 2, 7, 8, 15, 16, 17, size / 2, size - 17, size - 16, size - 2, size - 1,
	};

	return size <= VQSIM_LAYOUT_SMALL ? index + 1 : large[index];
}

static bool cut_once(struct cut *cut, uint32_t size, uint32_t *index)
{
	uint32_t count = size > 1 ? size - 1 : 0;

	if (*index >= count) {
		*index -= count;
		return false;
	}
	*cut = (struct cut){1, {*index + 1}};
	return true;
}

static bool cut_twice(struct cut *cut, uint32_t size, uint32_t *index)
{
	uint32_t count = points(size);

	for (uint32_t first = 0; first + 1 < count; first++) {
		uint32_t pairs = count - 1 - first;

		if (*index < pairs) {
			uint32_t at = point(size, first);

			*cut = (struct cut){2, {at, point(size, first + 1 + *index) - at}};
			return true;
		}
		*index -= pairs;
	}
	return false;
}

/* An empty element has an address that nobody may look at, but it counts as one. */
static bool cut_empty(struct cut *cut, uint32_t size, uint32_t *index)
{
	const struct cut cuts[] = {
		{1, {0}},          {2, {size, 0}}, {2, {size / 2, 0}}, {3, {size / 2, 0, 0}},
		{3, {0, size, 0}},
	};
	/* Of a run of one byte or none most of them are the same. */
	uint32_t count = size < 2 ? (size < 1 ? 1 : 2) : sizeof(cuts) / sizeof(cuts[0]);

	if (*index >= count) {
		*index -= count;
		return false;
	}
	*cut = cuts[*index];
	return true;
}

static bool cut_pieces(struct cut *cut, uint32_t size, uint32_t *index)
{
	for (uint32_t piece = 1; piece < size && piece != 0; piece <<= 1) {
		if (size / piece > VQSIM_LAYOUT_PIECES_MAX || (*index)-- != 0)
			continue;
		cut->count = size / piece;
		for (unsigned i = 0; i < cut->count; i++)
			cut->sizes[i] = piece;
		return true;
	}
	return false;
}

/* Framing number index of a run. Returns false: there are not so many. */
static bool cut_at(struct cut *cut, uint32_t size, uint32_t index)
{
	cut->count = 0;
	if (index-- == 0)
		return true;
	return cut_once(cut, size, &index) || cut_twice(cut, size, &index) ||
	       cut_empty(cut, size, &index) || cut_pieces(cut, size, &index);
}

static uint32_t random_below(struct vqsim_layout_walk *walk, uint32_t limit)
{
	walk->random = walk->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(walk->random >> 33) % limit;
}

/* As many pieces as a chance says, of which one in eight is empty. */
static void cut_random(struct vqsim_layout_walk *walk, struct cut *cut, uint32_t size)
{
	uint32_t most = size < walk->request.queue_size / 2u ? size : walk->request.queue_size / 2u;
	uint32_t each;

	cut->count = 0;
	if (most < 2)
		return;
	if (most > VQSIM_LAYOUT_PIECES_MAX)
		most = VQSIM_LAYOUT_PIECES_MAX;
	/* Few pieces are as likely as many. */
	cut->count = random_below(walk, 1 + random_below(walk, most - 1));
	each = 2 * size / (cut->count + 1);
	for (unsigned i = 0; i < cut->count; i++)
		cut->sizes[i] = random_below(walk, 8) ? 1 + random_below(walk, each) : 0;
}

static void lay(struct vqsim_layout_walk *walk, const struct cut *readable,
		const struct cut *writable)
{
	const struct vqsim_layout_request *r = &walk->request;
	unsigned count = vqsim_chain_cut(walk->elements, VQSIM_LAYOUT_ELEMENTS_MAX, r->readable_gpa,
					 r->readable_size, false, readable->sizes, readable->count);

	count += vqsim_chain_cut(walk->elements + count, VQSIM_LAYOUT_ELEMENTS_MAX - count,
				 r->writable_gpa, r->writable_size, true, writable->sizes,
				 writable->count);
	walk->count = (uint16_t)count;
}

/* Framing number walk->index of the phase. Returns false: the phase is over. */
static bool framing_make(struct vqsim_layout_walk *walk)
{
	const struct vqsim_layout_request *r = &walk->request;
	struct cut readable, writable;
	uint32_t index = walk->index, of_writable = points(r->writable_size);

	readable.count = writable.count = 0;
	switch (walk->phase) {
	case READABLE:
		if (!cut_at(&readable, r->readable_size, index))
			return false;
		break;
	case WRITABLE:
		/* Both whole was the first of all. */
		if (!cut_at(&writable, r->writable_size, index + 1))
			return false;
		break;
	case BOTH:
		if (index >= points(r->readable_size) * of_writable)
			return false;
		readable = (struct cut){1, {point(r->readable_size, index / of_writable)}};
		writable = (struct cut){1, {point(r->writable_size, index % of_writable)}};
		break;
	default:
		if (index >= r->random_count)
			return false;
		cut_random(walk, &readable, r->readable_size);
		cut_random(walk, &writable, r->writable_size);
	}
	lay(walk, &readable, &writable);
	return true;
}

static bool framing_next(struct vqsim_layout_walk *walk)
{
	for (; walk->phase < PHASES; walk->phase++, walk->index = 0)
		if (framing_make(walk)) {
			walk->index++;
			walk->framings++;
			walk->form = DIRECT;
			return true;
		}
	return false;
}

static bool is_legal(const struct vqsim_layout_walk *walk, enum form form, uint16_t direct)
{
	const struct vqsim_layout_request *r = &walk->request;

	if (walk->count > r->queue_size || walk->count == 0)
		return false;
	if (form == DIRECT)
		return true;
	if (!r->table_gpa || direct >= walk->count)
		return false;
	if (form == AFTER_ALL_BUT_ONE && direct <= AFTER_3 - TABLE)
		return false;
	return form == TABLE || r->mixed;
}

static uint16_t direct_of(const struct vqsim_layout_walk *walk, enum form form)
{
	if (form == DIRECT)
		return walk->count;
	return form == AFTER_ALL_BUT_ONE ? (uint16_t)(walk->count - 1) : (uint16_t)(form - TABLE);
}

void vqsim_layout_start(struct vqsim_layout_walk *walk, const struct vqsim_layout_request *request)
{
	if (request->readable_size == 0 && request->writable_size == 0)
		vqsim_misuse(__func__, "a request without a byte");
	walk->request = *request;
	walk->framings = walk->layouts = 0;
	walk->phase = READABLE;
	walk->index = 0;
	walk->form = FORMS;
	walk->random = request->seed;
}

bool vqsim_layout_next(struct vqsim_layout_walk *walk, struct vqsim_chain *chain)
{
	enum form form;
	uint16_t direct;

	do {
		if (walk->form == FORMS && !framing_next(walk))
			return false;
		form = walk->form++;
		direct = direct_of(walk, form);
	} while (!is_legal(walk, form, direct));
	walk->layouts++;
	*chain = (struct vqsim_chain){
		.elements = walk->elements,
		.count = walk->count,
		.direct = direct,
		.table_gpa = walk->request.table_gpa,
	};
	return true;
}
