/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pages of a file: a tree whose branches have 64 pages or branches each and which
 * is as high as the last page needs. Height 0: the root is page 0 itself. What is NULL is
 * a hole; a branch without pages does not exist.
 */
#include <errno.h>
#include <stdlib.h>

#include "ram_internal.h"

#define BITS  6u
#define WIDTH (1u << BITS)

/* 64-bit sizes: RAM_SIZE_MAX has 51 bits of pages, which 9 levels cover. */
_Static_assert(RAM_PAGE_SIZE == 4096 && 9 * BITS >= 63 - 12, "height of the page tree");

struct branch {
	void *child[WIDTH];
};

/* Whether page is too far for a tree of that height. */
static bool beyond(uint64_t page, unsigned height)
{
	return page >> (height * BITS) != 0;
}

static unsigned at_level(uint64_t page, unsigned level)
{
	return (unsigned)(page >> ((level - 1) * BITS)) % WIDTH;
}

uint8_t *ram_page_get(const struct ram_node *node, uint64_t page)
{
	void *at = node->pages.root;

	if (beyond(page, node->pages.height))
		return NULL;
	for (unsigned level = node->pages.height; level > 0 && at != NULL; level--)
		at = ((struct branch *)at)->child[at_level(page, level)];
	return at;
}

/* Put branches above the root until the page is not beyond it. */
static int raise_to(struct ram_pages *pages, uint64_t page)
{
	while (beyond(page, pages->height)) {
		if (pages->root != NULL) {
			struct branch *top = calloc(1, sizeof(*top));

			if (top == NULL)
				return -ENOMEM;
			top->child[0] = pages->root;
			pages->root = top;
		}
		pages->height++;
	}
	return 0;
}

/* Where the pointer to a page is, with the branches above it. NULL: no memory. */
static void **place_of(struct ram_pages *pages, uint64_t page)
{
	void **at = &pages->root;

	for (unsigned level = pages->height; level > 0; level--) {
		if (*at == NULL)
			*at = calloc(1, sizeof(struct branch));
		if (*at == NULL)
			return NULL;
		at = &((struct branch *)*at)->child[at_level(page, level)];
	}
	return at;
}

int ram_page_make(struct ram *ram, struct ram_node *node, uint64_t page, bool whole,
		  uint8_t **bytes)
{
	void **at;
	int error;

	*bytes = ram_page_get(node, page);
	if (*bytes != NULL)
		return 0;
	error = ram_charge(ram, RAM_PAGE_SIZE);
	if (error != 0)
		return error;
	*bytes = whole ? malloc(RAM_PAGE_SIZE) : calloc(1, RAM_PAGE_SIZE);
	at = *bytes != NULL && raise_to(&node->pages, page) == 0 ? place_of(&node->pages, page)
								 : NULL;
	if (at == NULL) {
		/* Branches that were made for it are used or dropped later. */
		free(*bytes);
		ram_discharge(ram, RAM_PAGE_SIZE);
		return -ENOMEM;
	}
	*at = *bytes;
	node->page_count++;
	return 0;
}

/*
 * Free pages first to last below *at, whose first page is base. Branches that become empty
 * go too. Returns how many pages.
 */
static uint64_t drop(void **at, unsigned level, uint64_t base, uint64_t first, uint64_t last)
{
	uint64_t each = UINT64_C(1) << (level > 0 ? (level - 1) * BITS : 0);
	struct branch *branch = *at;
	uint64_t count = 0;
	bool empty = true;

	if (branch == NULL)
		return 0;
	for (unsigned i = 0; level > 0 && i < WIDTH; i++) {
		uint64_t start = base + i * each;

		if (start <= last && start + (each - 1) >= first)
			count += drop(&branch->child[i], level - 1, start, first, last);
		empty = empty && branch->child[i] == NULL;
	}
	if (level == 0)
		count = 1;
	if (empty) {
		free(*at);
		*at = NULL;
	}
	return count;
}

void ram_pages_drop(struct ram *ram, struct ram_node *node, uint64_t first, uint64_t last)
{
	uint64_t count;

	if (beyond(first, node->pages.height))
		return;
	count = drop(&node->pages.root, node->pages.height, 0, first, last);
	if (node->pages.root == NULL)
		node->pages.height = 0;
	node->page_count -= count;
	ram_discharge(ram, count * RAM_PAGE_SIZE);
}

/* The same for pages below a branch that starts at base. */
static bool next(const void *at, unsigned level, uint64_t base, uint64_t *page)
{
	uint64_t each = UINT64_C(1) << (level > 0 ? (level - 1) * BITS : 0);
	const struct branch *branch = at;

	if (at == NULL)
		return false;
	if (level == 0) {
		*page = base;
		return true;
	}
	for (unsigned i = *page > base ? (unsigned)((*page - base) / each) : 0; i < WIDTH; i++)
		if (next(branch->child[i], level - 1, base + i * each, page))
			return true;
	return false;
}

bool ram_pages_next(const struct ram_node *node, uint64_t *page)
{
	if (beyond(*page, node->pages.height))
		return false;
	return next(node->pages.root, node->pages.height, 0, page);
}
