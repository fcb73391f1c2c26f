/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes of files in pages. NULL is a page of zeroes; one page that all share stands for those whose
 * content is not known. What a page holds behind the end of the file is zero.
 */
#include <stdlib.h>
#include <string.h>

#include "tree_internal.h"

uint8_t model_unknown_page[1];

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint8_t *model_page(const struct model_node *node, uint64_t page)
{
	if (page >= MODEL_PAGES_MAX)
		return model_unknown_page;
	return page < node->page_room ? node->pages[page] : NULL;
}

static bool make_room(struct model_node *node, uint64_t page)
{
	uint64_t room = node->page_room ? node->page_room : 4;
	uint8_t **pages;

	if (page >= MODEL_PAGES_MAX)
		return false;
	if (page < node->page_room)
		return true;
	while (room <= page)
		room *= 2;
	pages = realloc(node->pages, room * sizeof(*pages));
	if (!pages)
		return false;
	memset(pages + node->page_room, 0, (room - node->page_room) * sizeof(*pages));
	node->pages = pages;
	node->page_room = room;
	return true;
}

static void page_drop(struct model_node *node, uint64_t page)
{
	if (page >= node->page_room)
		return;
	if (node->pages[page] != model_unknown_page)
		free(node->pages[page]);
	node->pages[page] = NULL;
}

/* A page to write to. NULL: its content stays unknown. */
static uint8_t *page_to_write(struct model_step *s, struct model_node *node, uint64_t page,
			      bool whole)
{
	if (!make_room(node, page))
		return NULL;
	if (node->pages[page] == model_unknown_page && !whole)
		return NULL;
	if (!node->pages[page] || node->pages[page] == model_unknown_page)
		node->pages[page] = calloc(1, MODEL_PAGE_SIZE);
	if (!node->pages[page])
		s->tree->no_memory = true;
	return node->pages[page];
}

static uint64_t piece_of(uint64_t offset, uint64_t size)
{
	return smaller(MODEL_PAGE_SIZE - offset % MODEL_PAGE_SIZE, size);
}

void model_bytes_set(struct model_step *s, struct model_node *node, uint64_t offset,
		     const uint8_t *data, uint64_t size)
{
	while (size > 0) {
		uint64_t piece = piece_of(offset, size);
		uint8_t *page =
			page_to_write(s, node, offset / MODEL_PAGE_SIZE, piece == MODEL_PAGE_SIZE);

		if (page)
			memcpy(page + offset % MODEL_PAGE_SIZE, data, piece);
		offset += piece;
		data += piece;
		size -= piece;
	}
}

void model_bytes_zero(struct model_node *node, uint64_t offset, uint64_t size)
{
	uint64_t end = smaller(offset + size, node->page_room * MODEL_PAGE_SIZE);

	while (offset < end) {
		uint64_t piece = piece_of(offset, end - offset);
		uint8_t *page = model_page(node, offset / MODEL_PAGE_SIZE);

		if (piece == MODEL_PAGE_SIZE)
			page_drop(node, offset / MODEL_PAGE_SIZE);
		else if (page && page != model_unknown_page)
			memset(page + offset % MODEL_PAGE_SIZE, 0, piece);
		offset += piece;
	}
}

void model_set_size(struct model_node *node, uint64_t size)
{
	uint64_t tail = size % MODEL_PAGE_SIZE;

	if (size < node->size) {
		if (tail)
			model_bytes_zero(node, size, MODEL_PAGE_SIZE - tail);
		for (uint64_t page = (size + MODEL_PAGE_SIZE - 1) / MODEL_PAGE_SIZE;
		     page < node->page_room; page++)
			page_drop(node, page);
	}
	node->size = size;
}

void model_bytes_vague(struct model_node *node, uint64_t offset, uint64_t size)
{
	uint64_t page = offset / MODEL_PAGE_SIZE;
	uint64_t end =
		smaller((offset + size + MODEL_PAGE_SIZE - 1) / MODEL_PAGE_SIZE, MODEL_PAGES_MAX);

	if (size == 0 || page >= end || !make_room(node, end - 1))
		return;
	for (; page < end; page++) {
		page_drop(node, page);
		node->pages[page] = model_unknown_page;
	}
}

void model_data_vague(struct model_node *node)
{
	model_bytes_vague(node, 0, node->size);
}

void model_pages_free(struct model_node *node)
{
	for (uint64_t page = 0; page < node->page_room; page++)
		page_drop(node, page);
	free(node->pages);
	node->pages = NULL;
	node->page_room = 0;
}

/* Where data differs from what a page says, or size. */
static uint64_t difference(const uint8_t *page, uint64_t at, const uint8_t *data, uint64_t size)
{
	static const uint8_t zeros[MODEL_PAGE_SIZE];
	const uint8_t *want = page ? page : zeros;
	uint64_t i = 0;

	if (page == model_unknown_page || memcmp(want + at, data, size) == 0)
		return size;
	while (want[at + i] == data[i])
		i++;
	return i;
}

uint64_t model_difference(const struct model_node *node, uint64_t offset, const uint8_t *data,
			  uint64_t size)
{
	uint64_t done = 0;

	while (done < size) {
		uint64_t piece = piece_of(offset + done, size - done);
		uint64_t same = difference(model_page(node, (offset + done) / MODEL_PAGE_SIZE),
					   (offset + done) % MODEL_PAGE_SIZE, data + done, piece);

		done += same;
		if (same < piece)
			return done;
	}
	return size;
}

bool model_zero(const struct model_node *node, uint64_t offset, uint64_t end)
{
	static const uint8_t zeros[MODEL_PAGE_SIZE];

	end = smaller(end, node->page_room * MODEL_PAGE_SIZE);
	while (offset < end) {
		uint64_t piece = piece_of(offset, end - offset);

		if (model_difference(node, offset, zeros, piece) < piece)
			return false;
		offset += piece;
	}
	return true;
}
