/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A ring as a picture: rows of cells, drawn as SVG for a file or as text. A
 * reading of a ring fills it; nothing here knows a format. Private to the referee.
 *
 * Threads: values.
 */
#ifndef VQSIM_REFEREE_PICTURE_INTERNAL_H
#define VQSIM_REFEREE_PICTURE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A power of two: the cells of a row, and slots of a ring that are shown. */
#define REFEREE_CELLS 16u

#define REFEREE_ROWS       2u
#define REFEREE_CELL_LINES 4u
#define REFEREE_POINTERS   3u
#define REFEREE_TEXT_LINES 20u /* the notes, and what replays them */

enum referee_cell_state {
	REFEREE_CELL_FREE,
	REFEREE_CELL_EXPOSED,   /* and the device has not run since */
	REFEREE_CELL_IN_FLIGHT, /* the device ran and did not use it */
	REFEREE_CELL_USED,      /* and the driver did not take it */
	REFEREE_CELL_STATES
};

struct referee_cell {
	uint32_t slot;
	enum referee_cell_state state;
	bool marked;
	unsigned lines;
	char text[REFEREE_CELL_LINES][16];
};

struct referee_pointer {
	uint32_t slot;
	const char *name;
};

struct referee_row {
	const char *name;
	char text[96];
	unsigned count;
	struct referee_cell cells[REFEREE_CELLS];
	unsigned pointers;
	struct referee_pointer pointer[REFEREE_POINTERS];
};

struct referee_picture {
	const char *clause, *rule, *detail;
	unsigned rows;
	struct referee_row row[REFEREE_ROWS];
	unsigned lines; /* below the ring */
	char text[REFEREE_TEXT_LINES][128];
};

/* Add; rows and cells beyond the room are a mistake of the caller. */
struct referee_row *referee_row_add(struct referee_picture *picture, const char *name);
struct referee_cell *referee_cell_add(struct referee_row *row, uint32_t slot);
void referee_cell_text(struct referee_cell *cell, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void referee_row_text(struct referee_row *row, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* An arrow to a slot, and the mark of what is wrong; nothing if the slot is not shown. */
void referee_row_pointer(struct referee_row *row, uint32_t slot, const char *name);
void referee_row_mark(struct referee_row *row, int32_t slot);

void referee_picture_svg(const struct referee_picture *picture, FILE *out);
void referee_picture_text(const struct referee_picture *picture, FILE *out);

#endif
