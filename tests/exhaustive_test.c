/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every content of a descriptor table of two entries, and of a packed ring of two slots, over an
 * alphabet for each field: what a device makes of it is judged by the referee alone. It uses the
 * chain or asks for a reset (a packed ring may also hold nothing that is available), and a good
 * request works after it and again after a reset.
 *
 * A packed ring: the flags of the alphabet stand for a driver whose wrap counter is 1; where it
 * is 0, AVAIL and USED are turned round.
 */
#include <endian.h>
#include <stdio.h>

#include "tests/support/bench.h"

#define NEXT     VRING_DESC_F_NEXT
#define WRITE    VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT
#define AVAIL    (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED     (1u << VRING_PACKED_DESC_F_USED)

#define FLAGS   6u
#define LINKS   4u
#define LENS    4u
#define ADDRS   4u
#define LETTERS (FLAGS * LINKS * LENS * ADDRS)

/* Two entries, each any of the letters. */
#define CONTENTS (LETTERS * LETTERS)
_Static_assert(CONTENTS == 147456, "the count that is promised");

static const uint16_t split_flags[FLAGS] = {
	0, NEXT, WRITE, NEXT | WRITE, INDIRECT, INDIRECT | NEXT,
};

/* The head is not available where AVAIL and USED are alike. */
static const uint16_t packed_flags[FLAGS] = {
	AVAIL, AVAIL | NEXT, AVAIL | WRITE, AVAIL | NEXT | WRITE, AVAIL | INDIRECT, AVAIL | USED,
};

/* The field next, or the buffer id. */
static const uint16_t links[LINKS] = {0, 1, 2, 0xffff};
static const uint32_t lens[LENS] = {0, 16, 32, UINT32_MAX};

struct letter {
	uint16_t flags, link;
	uint32_t len;
	uint64_t addr;
};

enum outcome {
	SERVED,
	BROKEN,
	IGNORED,
	OUTCOMES,
};

struct fixture {
	const char *name;
	enum bench_device device;
	bool packed;
	struct bench *bench;
	uint64_t addrs[ADDRS];
	uint64_t table_gpa;
	uint64_t header_gpa, status_gpa;
	uint64_t outcomes[OUTCOMES];
};

/* Of the chain that becomes a content, and of a good request: IN of no bytes. */
static struct vqsim_chain chain_at(const struct fixture *f, struct vqsim_element *elements)
{
	elements[0] = (struct vqsim_element){f->header_gpa, 16, false};
	elements[1] = (struct vqsim_element){f->status_gpa, 1, true};
	return (struct vqsim_chain){elements, 2, 2, 0};
}

/* Before the rings: a reset gives back only what came after them. */
static void place(struct fixture *f)
{
	struct vqsim_memory *memory = &f->bench->memory;

	f->addrs[0] = vqsim_memory_alloc(memory, 64, 16);
	f->addrs[1] = f->table_gpa = vqsim_memory_alloc(memory, 64, 16);
	f->addrs[2] = bench_end(f->bench, BENCH_NEXT) - 8;
	f->addrs[3] = UINT64_MAX - 7;
	f->header_gpa = vqsim_memory_alloc(memory, 16, 16);
	f->status_gpa = vqsim_memory_alloc(memory, 1, 1);
}

static struct letter letter_of(const struct fixture *f, uint32_t number)
{
	const uint16_t *flags = f->packed ? packed_flags : split_flags;

	return (struct letter){
		.flags = flags[number % FLAGS],
		.link = links[number / FLAGS % LINKS],
		.len = lens[number / FLAGS / LINKS % LENS],
		.addr = f->addrs[number / FLAGS / LINKS / LENS],
	};
}

static void write_split(void *to, const struct letter *letter)
{
	struct vring_desc desc = {htole64(letter->addr), htole32(letter->len),
				  htole16(letter->flags), htole16(letter->link)};

	memcpy(to, &desc, sizeof(desc));
}

static void write_packed(void *to, const struct letter *letter, bool wrap)
{
	uint16_t flags = wrap ? letter->flags : letter->flags ^ (AVAIL | USED);
	struct vring_packed_desc desc = {htole64(letter->addr), htole32(letter->len),
					 htole16(letter->link), htole16(flags)};

	memcpy(to, &desc, sizeof(desc));
}

/* A buffer that can be read, and a table of a chain that is right. */
static void fill_memory(const struct fixture *f)
{
	const struct letter entries[2] = {
		{NEXT, 1, 16, f->header_gpa},
		{WRITE, 0, 1, f->status_gpa},
	};
	uint8_t *table = vqsim_memory_at(&f->bench->memory, f->table_gpa, 64);

	memset(vqsim_memory_at(&f->bench->memory, f->addrs[0], 64), 0, 64);
	memset(table, 0, 64);
	for (unsigned i = 0; i < 2; i++) {
		if (f->packed)
			write_packed(table + 16 * i, &entries[i], true);
		else
			write_split(table + 16 * i, &entries[i]);
	}
}

/* A device may then write over a table, and the referee would take that for a breach. */
static bool writes_table(const struct letter *letters)
{
	for (unsigned i = 0; i < 2; i++)
		if ((letters[i].flags & INDIRECT) && (letters[!i].flags & WRITE) &&
		    letters[i].addr == letters[!i].addr)
			return true;
	return false;
}

/* bring_up and a good request of two descriptors, so that the wrap counter is 0. */
static void start(struct fixture *f)
{
	struct vqsim_guest *guest = &f->bench->guest;
	struct vqsim_element elements[2];
	struct vqsim_chain chain = chain_at(f, elements);
	struct vqsim_used used;

	assert_int_equal(vqsim_guest_bring_up(guest, &f->bench->config), VQSIM_UP);
	assert_true(vqsim_guest_add(guest, 0, &chain, f) >= 0);
	vqsim_guest_publish(guest, 0);
	assert_int_equal(vqsim_guest_run(guest, 0), VIRTIO_IDLE);
	assert_int_equal(vqsim_guest_reap(guest, 0, &used), VQSIM_REAP_USED);
	assert_int_equal(used.len, 1);
}

/* Over a chain that was published and that the device has not seen yet. */
static void expose(struct fixture *f, const struct letter *letters)
{
	struct vqsim_guest *guest = &f->bench->guest;
	struct vqsim_driver *driver = &guest->queues[0];
	struct vqsim_element elements[2];
	struct vqsim_chain chain = chain_at(f, elements);
	uint8_t *ring = vqsim_memory_at(&f->bench->memory, driver->setup.desc_gpa, 32);

	assert_true(vqsim_guest_add(guest, 0, &chain, f) >= 0);
	vqsim_driver_publish(driver);
	for (unsigned i = 0; i < 2; i++) {
		if (f->packed)
			write_packed(ring + 16 * i, &letters[i], false);
		else
			write_split(ring + 16 * i, &letters[i]);
	}
	vqsim_referee_published(guest->referee, 0);
	vqsim_guest_kick(guest, 0);
}

static enum outcome judge(struct fixture *f, const struct letter *letters)
{
	struct vqsim_guest *guest = &f->bench->guest;
	bool needs_reset = vqsim_guest_needs_reset(guest);
	struct vqsim_used used;
	enum vqsim_reap reap = vqsim_guest_reap(guest, 0, &used);

	if (needs_reset)
		return BROKEN;
	/* The driver of a packed ring takes its own mark for the device's. */
	if (f->packed && (letters[0].flags & USED))
		return IGNORED;
	assert_int_not_equal(reap, VQSIM_REAP_NOTHING);
	return SERVED;
}

/* The driver of a packed ring believes that two slots were taken: there is no going on then. */
static void good_request(struct fixture *f)
{
	struct vqsim_guest *guest = &f->bench->guest;
	struct vqsim_element elements[2];
	struct vqsim_chain chain = chain_at(f, elements);
	struct vqsim_used used;

	if (f->packed)
		return;
	assert_true(vqsim_guest_add(guest, 0, &chain, f) >= 0);
	vqsim_guest_publish(guest, 0);
	assert_int_equal(vqsim_guest_run(guest, 0), VIRTIO_IDLE);
	assert_int_equal(vqsim_guest_reap(guest, 0, &used), VQSIM_REAP_USED);
	assert_int_equal(used.len, 1);
}

static void run_content(struct fixture *f, uint32_t content)
{
	const struct letter letters[2] = {letter_of(f, content / LETTERS),
					  letter_of(f, content % LETTERS)};
	struct vqsim_referee *referee = &f->bench->referee;
	uint64_t violations = referee->violations;
	enum outcome outcome;

	start(f);
	fill_memory(f);
	expose(f, letters);
	assert_int_equal(vqsim_guest_run(&f->bench->guest, 0), VIRTIO_IDLE);
	outcome = judge(f, letters);
	f->outcomes[outcome]++;
	if (writes_table(letters))
		referee->violations = violations;
	else if (outcome == SERVED)
		good_request(f);
	if (referee->violations > violations)
		fail_msg("content %u: %s", content, f->bench->first.text);
}

static void every_content_is_survived(void **state)
{
	struct fixture *f = *state;
	uint32_t count = 0;

	for (uint32_t content = 0; content < CONTENTS; content++, count++)
		run_content(f, content);
	start(f);
	print_message("# %u contents: %llu served, %llu broken, %llu ignored\n", count,
		      (unsigned long long)f->outcomes[SERVED],
		      (unsigned long long)f->outcomes[BROKEN],
		      (unsigned long long)f->outcomes[IGNORED]);
	assert_int_equal(count, CONTENTS);
	assert_true(f->outcomes[SERVED] > 0 && f->outcomes[BROKEN] > 0);
}

static int setup(void **state)
{
	struct fixture *f = *state;
	const struct bench_options options = {
		.device = f->device,
		.queue_size = 2,
		.packed = f->packed,
		.down = true,
	};

	f->bench = bench_create(&options);
	place(f);
	assert_int_equal(vqsim_guest_bring_up(&f->bench->guest, &f->bench->config), VQSIM_UP);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bench_destroy(f->bench);
	return 0;
}

int main(void)
{
	static struct fixture fixtures[] = {
		{.name = "split table of two entries, null", .device = BENCH_NULL},
		{.name = "split table of two entries, blk", .device = BENCH_BLK},
		{.name = "packed ring of two slots, null", .device = BENCH_NULL, .packed = true},
		{.name = "packed ring of two slots, blk", .device = BENCH_BLK, .packed = true},
	};
	struct CMUnitTest tests[COUNT_OF(fixtures)];
	size_t count = 0;

	for (size_t i = 0; i < COUNT_OF(fixtures); i++) {
		if (fixtures[i].packed && !bench_offers(fixtures[i].device, VIRTIO_F_RING_PACKED))
			continue;
		tests[count++] = (struct CMUnitTest){fixtures[i].name, every_content_is_survived,
						     setup, teardown, &fixtures[i]};
	}
	return bench_run("exhaustive", tests, count);
}
