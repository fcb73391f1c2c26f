/* SPDX-License-Identifier: BSD-3-Clause */
#include "picture_internal.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

/* The drawing, in pixels. */
#define CELL_WIDTH  84u
#define CELL_HEIGHT 84u
#define MARGIN      24u
#define LINE        16u
#define HEAD_HEIGHT 92u
#define ROW_HEIGHT  (CELL_HEIGHT + 84u)

static const struct {
	const char *name, *fill;
	char letter;
} states[REFEREE_CELL_STATES] = {
	[REFEREE_CELL_FREE] = {"free", "#f2f2f2", '.'},
	[REFEREE_CELL_EXPOSED] = {"exposed since the last run", "#a8d0f5", 'e'},
	[REFEREE_CELL_IN_FLIGHT] = {"in flight", "#ffd98a", 'f'},
	[REFEREE_CELL_USED] = {"used, not yet taken", "#b4e3b0", 'u'},
};

struct referee_row *referee_row_add(struct referee_picture *picture, const char *name)
{
	assert(picture->rows < REFEREE_ROWS);
	picture->row[picture->rows].name = name;
	return &picture->row[picture->rows++];
}

struct referee_cell *referee_cell_add(struct referee_row *row, uint32_t slot)
{
	assert(row->count < REFEREE_CELLS);
	row->cells[row->count].slot = slot;
	return &row->cells[row->count++];
}

void referee_cell_text(struct referee_cell *cell, const char *format, ...)
{
	va_list args;

	assert(cell->lines < REFEREE_CELL_LINES);
	va_start(args, format);
	vsnprintf(cell->text[cell->lines++], sizeof(cell->text[0]), format, args);
	va_end(args);
}

void referee_row_text(struct referee_row *row, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(row->text, sizeof(row->text), format, args);
	va_end(args);
}

static int cell_of(const struct referee_row *row, uint32_t slot)
{
	for (unsigned i = 0; i < row->count; i++)
		if (row->cells[i].slot == slot)
			return (int)i;
	return -1;
}

void referee_row_pointer(struct referee_row *row, uint32_t slot, const char *name)
{
	if (cell_of(row, slot) < 0)
		return;
	assert(row->pointers < REFEREE_POINTERS);
	row->pointer[row->pointers++] = (struct referee_pointer){slot, name};
}

void referee_row_mark(struct referee_row *row, int32_t slot)
{
	int i = slot < 0 ? -1 : cell_of(row, (uint32_t)slot);

	if (i >= 0)
		row->cells[i].marked = true;
}

/* Text for XML. */
static void escaped(const char *text, FILE *out)
{
	for (; *text; text++)
		switch (*text) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		default:
			fputc(*text, out);
		}
}

static void svg_text(FILE *out, unsigned x, unsigned y, const char *style, const char *text)
{
	fprintf(out, "<text x=\"%u\" y=\"%u\" %s>", x, y, style);
	escaped(text, out);
	fputs("</text>\n", out);
}

#define MIDDLE "text-anchor=\"middle\""

static void svg_cell(FILE *out, const struct referee_cell *cell, unsigned x, unsigned y)
{
	char slot[16];

	fprintf(out,
		"<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" fill=\"%s\" stroke=\"#555\"/>\n",
		x, y, CELL_WIDTH, CELL_HEIGHT, states[cell->state].fill);
	snprintf(slot, sizeof(slot), "%u", cell->slot);
	svg_text(out, x + CELL_WIDTH / 2, y - 4, MIDDLE " fill=\"#777\"", slot);
	for (unsigned i = 0; i < cell->lines; i++)
		svg_text(out, x + CELL_WIDTH / 2, y + 18 + i * (LINE + 2), MIDDLE, cell->text[i]);
}

/* Over the neighbours' borders, hence after all cells. */
static void svg_mark(FILE *out, unsigned x, unsigned y)
{
	fprintf(out,
		"<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" fill=\"none\" stroke=\"#d00\" "
		"stroke-width=\"6\"/>\n",
		x, y, CELL_WIDTH, CELL_HEIGHT);
	fprintf(out, "<path d=\"M %u %u l -9 -18 h 18 z\" fill=\"#d00\"/>\n", x + CELL_WIDTH / 2,
		y - 16);
}

static void svg_pointer(FILE *out, const struct referee_row *row, unsigned index, unsigned y)
{
	const struct referee_pointer *pointer = &row->pointer[index];
	unsigned cell = (unsigned)cell_of(row, pointer->slot);
	unsigned x = MARGIN + cell * CELL_WIDTH;
	bool leftwards = cell >= REFEREE_CELLS / 2; /* there is no room to the right of the last */
	unsigned depth = 16 + (leftwards ? index : row->pointers - 1 - index) * LINE;

	x += CELL_WIDTH / 4 + index * CELL_WIDTH / 4;
	y += CELL_HEIGHT;
	fprintf(out,
		"<path d=\"M %u %u v -%u m -5 8 l 5 -8 l 5 8\" fill=\"none\" stroke=\"#333\"/>\n",
		x, y + depth, depth - 5);
	svg_text(out, leftwards ? x - 6 : x + 6, y + depth + 4,
		 leftwards ? "text-anchor=\"end\"" : "", pointer->name);
}

static void svg_row(FILE *out, const struct referee_row *row, unsigned y)
{
	svg_text(out, MARGIN, y - 40, "font-weight=\"bold\"", row->name);
	svg_text(out, MARGIN + 150, y - 40, "", row->text);
	for (unsigned i = 0; i < row->count; i++)
		svg_cell(out, &row->cells[i], MARGIN + i * CELL_WIDTH, y);
	for (unsigned i = 0; i < row->count; i++)
		if (row->cells[i].marked)
			svg_mark(out, MARGIN + i * CELL_WIDTH, y);
	for (unsigned i = 0; i < row->pointers; i++)
		svg_pointer(out, row, i, y);
}

static void svg_legend(FILE *out, unsigned y)
{
	unsigned x = MARGIN;

	for (unsigned i = 0; i < REFEREE_CELL_STATES; i++) {
		fprintf(out,
			"<rect x=\"%u\" y=\"%u\" width=\"14\" height=\"14\" fill=\"%s\" "
			"stroke=\"#555\"/>\n",
			x, y - 12, states[i].fill);
		svg_text(out, x + 20, y, "", states[i].name);
		x += 40 + 8 * (unsigned)strlen(states[i].name);
	}
	fprintf(out,
		"<rect x=\"%u\" y=\"%u\" width=\"14\" height=\"14\" fill=\"none\" stroke=\"#d00\" "
		"stroke-width=\"4\"/>\n",
		x, y - 12);
	svg_text(out, x + 20, y, "fill=\"#d00\"", "what is wrong");
}

static unsigned width_of(const struct referee_picture *picture)
{
	unsigned cells = 12; /* room for the sentences */

	for (unsigned i = 0; i < picture->rows; i++)
		if (picture->row[i].count > cells)
			cells = picture->row[i].count;
	return 2 * MARGIN + cells * CELL_WIDTH;
}

void referee_picture_svg(const struct referee_picture *picture, FILE *out)
{
	unsigned rows_end = HEAD_HEIGHT + picture->rows * ROW_HEIGHT;
	unsigned height = rows_end + (picture->lines + 3) * LINE + MARGIN;

	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
		"font-family=\"monospace\" font-size=\"12\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		width_of(picture), height);
	svg_text(out, MARGIN, 26, "font-size=\"16\" font-weight=\"bold\" fill=\"#d00\"",
		 picture->clause);
	svg_text(out, MARGIN + 160, 26, "font-size=\"14\"", picture->rule);
	svg_text(out, MARGIN, 48, "fill=\"#d00\"", picture->detail);
	for (unsigned i = 0; i < picture->rows; i++)
		svg_row(out, &picture->row[i], HEAD_HEIGHT + 16 + i * ROW_HEIGHT);
	svg_legend(out, rows_end + LINE);
	for (unsigned i = 0; i < picture->lines; i++)
		svg_text(out, MARGIN, rows_end + (i + 3) * LINE, "", picture->text[i]);
	fputs("</svg>\n", out);
}

/* One cell a line: slot, state, values, arrows. */
static void text_cell(FILE *out, const struct referee_row *row, const struct referee_cell *cell)
{
	fprintf(out, "  %c %5u [%c]", cell->marked ? '>' : ' ', cell->slot,
		states[cell->state].letter);
	for (unsigned i = 0; i < cell->lines; i++)
		fprintf(out, " %-10s", cell->text[i]);
	for (unsigned i = 0; i < row->pointers; i++)
		if (row->pointer[i].slot == cell->slot)
			fprintf(out, " <- %s", row->pointer[i].name);
	fputs(cell->marked ? " <- WRONG\n" : "\n", out);
}

void referee_picture_text(const struct referee_picture *picture, FILE *out)
{
	for (unsigned i = 0; i < picture->rows; i++) {
		const struct referee_row *row = &picture->row[i];

		fprintf(out, "  %s: %s (. free, e exposed, f in flight, u used)\n", row->name,
			row->text);
		for (unsigned j = 0; j < row->count; j++)
			text_cell(out, row, &row->cells[j]);
	}
}
