/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices that are wrong in how descriptors hang together for them: next, and indirect tables.
 */
#include "suite_wrong.h"
#include "wrong_chain.h"

extern const struct vqsim_wrong suite_wrong_table[];

static struct wrong_desc last_element(const struct wrong_chain *chain)
{
	return wrong_desc_get(chain, chain->elements[chain->count - 1].desc);
}

static void wild_next_refused(struct wrong_chain *chain)
{
	if (last_element(chain).link >= chain->wrap->setups[chain->queue].size)
		wrong_chain_refuse(chain);
}

static void next_is_next(struct wrong_chain *chain)
{
	if (last_element(chain).link == 1)
		wrong_chain_refuse(chain);
}

static void wild_next_of_pointer_refused(struct wrong_chain *chain)
{
	if (chain->table && wrong_chain_last(chain).link >= chain->wrap->setups[chain->queue].size)
		wrong_chain_refuse(chain);
}

static void write_on_pointer_refused(struct wrong_chain *chain)
{
	if (chain->table && wrong_chain_last(chain).flags & VRING_DESC_F_WRITE)
		wrong_chain_refuse(chain);
}

static void table_alone(struct wrong_chain *chain)
{
	if (chain->table && chain->ring_count > 1)
		wrong_chain_refuse(chain);
}

static void one_before_table(struct wrong_chain *chain)
{
	if (chain->table && chain->ring_count > 2)
		wrong_chain_refuse(chain);
}

static void table_is_array(struct wrong_chain *chain)
{
	unsigned first = chain->ring_count - 1;

	for (unsigned i = first; chain->table && i < chain->count; i++)
		if (chain->elements[i].desc != chain->table + 16 * (size_t)(i - first))
			wrong_chain_refuse(chain);
}

static void table_within_ring_size(struct wrong_chain *chain)
{
	if (chain->entries > chain->wrap->setups[chain->queue].size)
		wrong_chain_refuse(chain);
}

static void set_entries(struct wrong_chain *chain, uint32_t entries)
{
	uint8_t *at = chain->ring[chain->ring_count - 1];
	struct wrong_desc pointer = wrong_desc_get(chain, at);

	pointer.len = 16 * entries;
	wrong_desc_put(chain, at, &pointer);
}

/* It follows next wherever that leads; the good device inside is told of a larger table. */
static void no_bound(struct wrong_chain *chain)
{
	for (unsigned i = 0; chain->table && i < chain->count; i++)
		if (chain->elements[i].desc >= chain->table + 16 * (size_t)chain->entries)
			set_entries(chain, WRONG_CHAIN_ELEMENTS);
}

static void one_entry_more(struct wrong_chain *chain)
{
	if (chain->table)
		set_entries(chain, chain->entries + 1);
}

static void bound_as_before(struct wrong_chain *chain)
{
	if (chain->table)
		set_entries(chain, chain->entries);
}

/* It takes next modulo the entries of the table, which makes all of them fit. */
static void turn_links(struct wrong_chain *chain)
{
	for (uint32_t i = 0; chain->table && i < chain->entries; i++) {
		struct wrong_desc desc = wrong_desc_get(chain, chain->table + 16 * (size_t)i);

		desc.link %= chain->entries;
		wrong_desc_put(chain, chain->table + 16 * (size_t)i, &desc);
	}
}

static void table_short_of_the_end(struct wrong_chain *chain)
{
	if (chain->table && !wrong_wrap_at(chain->wrap, wrong_chain_last(chain).addr,
					   16 * (uint64_t)chain->entries + 1))
		wrong_chain_refuse(chain);
}

static void flags_in_table_refused(struct wrong_chain *chain)
{
	for (unsigned i = 0; chain->table && i < chain->count; i++)
		if (wrong_desc_get(chain, chain->elements[i].desc).flags & ~VRING_DESC_F_WRITE)
			wrong_chain_refuse(chain);
}

static void ids_in_table_refused(struct wrong_chain *chain)
{
	for (unsigned i = 0; chain->table && i < chain->count; i++)
		if (wrong_desc_get(chain, chain->elements[i].desc).link == 0xffff)
			wrong_chain_refuse(chain);
}

const struct vqsim_wrong suite_wrong_table[] = {
	{.test = "chain_next_means_nothing",
	 CHAIN_AFTER(wild_next_refused),
	 .clause = "SPLIT-DX-06",
	 .wrong = "a wild next without NEXT is refused"},
	{.test = "chain_next_means_nothing",
	 CHAIN_AFTER(next_is_next),
	 .clause = "SPLIT-DX-06",
	 .wrong = "next is followed without NEXT"},
	{.test = "chain_next_means_nothing",
	 CHAIN_AFTER(wild_next_of_pointer_refused),
	 .clause = "SPLIT-DX-06",
	 .wrong = "a wild next beside a table is refused"},

	{.test = "table_write_on_pointer",
	 CHAIN_AFTER(write_on_pointer_refused),
	 .clause = "SPLIT-D-07",
	 .wrong = "WRITE on the pointer is refused"},
	{.test = "table_write_on_pointer",
	 CHAIN_AFTER(write_on_pointer_refused),
	 .clause = "PACKED-DX-10",
	 .wrong = "WRITE on the pointer is refused (packed)"},
	{.test = "table_after_direct",
	 CHAIN_AFTER(table_alone),
	 .clause = "SPLIT-D-08",
	 .wrong = "a table must stand alone"},
	{.test = "table_after_direct",
	 CHAIN_AFTER(one_before_table),
	 .clause = "SPLIT-D-08",
	 .wrong = "one descriptor before a table at the most"},
	{.test = "table_goes_by_next",
	 CHAIN_AFTER(table_is_array),
	 .clause = "SPLIT-DX-07",
	 .wrong = "a table is taken for an array"},
	{.test = "table_goes_by_next",
	 CHAIN_AFTER(table_within_ring_size),
	 .clause = "SPLIT-DX-07",
	 .wrong = "a table larger than the ring is refused"},
	{.test = "table_is_bounded",
	 CHAIN_HOOKS(.before = no_bound, .after = bound_as_before),
	 .clause = "SPLIT-DX-08",
	 .wrong = "a table has no end"},
	{.test = "table_is_bounded",
	 CHAIN_HOOKS(.before = turn_links),
	 .clause = "SPLIT-DX-08",
	 .wrong = "next modulo the entries"},
	{.test = "table_is_bounded",
	 CHAIN_AFTER(table_short_of_the_end),
	 .clause = "SPLIT-DX-08",
	 .wrong = "a table at the end of a region is refused"},
	{.test = "table_is_array",
	 CHAIN_AFTER(flags_in_table_refused),
	 .clause = "PACKED-DX-09",
	 .wrong = "flags in a table are refused"},
	{.test = "table_is_array",
	 CHAIN_AFTER(ids_in_table_refused),
	 .clause = "PACKED-DX-09",
	 .wrong = "ids in a table are refused"},
	{.test = "table_is_array",
	 CHAIN_HOOKS(.before = one_entry_more, .after = bound_as_before),
	 .clause = "PACKED-DX-09",
	 .wrong = "an entry behind the table is taken"},
	{.test = NULL},
};
