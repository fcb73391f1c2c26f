/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>

#include "breakage.h"
#include "trace.h"

static const char *const code_names[VQSIM_OP_COUNT] = {
	[VQSIM_OP_UP] = "up",
	[VQSIM_OP_CHAIN] = "chain",
	[VQSIM_OP_BLK] = "blk",
	[VQSIM_OP_PUBLISH] = "publish",
	[VQSIM_OP_KICK] = "kick",
	[VQSIM_OP_RUN] = "run",
	[VQSIM_OP_REAP] = "reap",
	[VQSIM_OP_NOTIFY] = "notify",
	[VQSIM_OP_USED_EVENT] = "used-event",
	[VQSIM_OP_BREAK] = "break",
	[VQSIM_OP_RESET] = "reset",
	[VQSIM_OP_HIDE] = "hide",
	[VQSIM_OP_EXPOSE] = "expose",
	[VQSIM_OP_CAPACITY] = "capacity",
	[VQSIM_OP_WRITEBACK] = "writeback",
	[VQSIM_OP_BREAKAGE] = "breakage",
	[VQSIM_OP_QUEUE_RESET] = "reset-q",
	[VQSIM_OP_QUEUE_ENABLE] = "enable-q",
	[VQSIM_OP_REPLACE] = "replace",
	[VQSIM_OP_DRIVER] = "driver",
	[VQSIM_OP_CONFIG] = "config",
	[VQSIM_OP_HOLD] = "hold",
	[VQSIM_OP_LET_GO] = "let-go",
	[VQSIM_OP_RELEASE] = "release",
	[VQSIM_OP_FAIL] = "fail",
};

static const char *const layout_names[VQSIM_LAYOUT_COUNT] = {
	[VQSIM_DIRECT] = "direct",
	[VQSIM_INDIRECT] = "indirect",
	[VQSIM_MIXED] = "mixed",
};

static const char *const place_names[VQSIM_PLACE_COUNT] = {
	[VQSIM_OWN] = "own memory",
	[VQSIM_CROSSING] = "crossing regions",
	[VQSIM_EDGE] = "at the edge of a region",
	[VQSIM_LARGE] = "large",
};

static const char *const break_names[VQSIM_BREAK_COUNT] = {
	[VQSIM_BREAK_ADDR] = "descriptor addr",
	[VQSIM_BREAK_LEN] = "descriptor len",
	[VQSIM_BREAK_FLAGS] = "descriptor flags xor",
	[VQSIM_BREAK_NEXT] = "descriptor next",
	[VQSIM_BREAK_TABLE_ADDR] = "table addr",
	[VQSIM_BREAK_TABLE_LEN] = "table len",
	[VQSIM_BREAK_TABLE_FLAGS] = "table flags xor",
	[VQSIM_BREAK_TABLE_NEXT] = "table next",
	[VQSIM_BREAK_SLOT] = "available entry",
	[VQSIM_BREAK_TWICE] = "available twice",
	[VQSIM_BREAK_INDEX] = "available index plus",
	[VQSIM_BREAK_AVAIL_FLAGS] = "available flags",
};

static const char *const kind_names[VQSIM_BLK_KIND_COUNT] = {
	[VQSIM_BLK_IN] = "in",           [VQSIM_BLK_OUT] = "out",
	[VQSIM_BLK_FLUSH] = "flush",     [VQSIM_BLK_GET_ID] = "get-id",
	[VQSIM_BLK_DISCARD] = "discard", [VQSIM_BLK_WRITE_ZEROES] = "write-zeroes",
	[VQSIM_BLK_UNKNOWN] = "unknown",
};

static void print_chain(FILE *out, const struct vqsim_op *op)
{
	fprintf(out, " %s, %s, %" PRIu64 " readable bytes in %u, %" PRIu32 " writable in %u",
		layout_names[op->layout % VQSIM_LAYOUT_COUNT],
		place_names[op->place % VQSIM_PLACE_COUNT], op->value, op->readable, op->size,
		op->writable);
	if (op->what)
		fprintf(out, ", on blk: %s at sector %u",
			kind_names[(op->what - 1) % VQSIM_BLK_KIND_COUNT], op->count);
}

static void print_blk(FILE *out, const struct vqsim_op *op)
{
	fprintf(out, " %s, %s, sector %" PRIu64 ", %" PRIu32 " bytes",
		kind_names[op->what % VQSIM_BLK_KIND_COUNT],
		layout_names[op->layout % VQSIM_LAYOUT_COUNT], op->value, op->size);
	if (op->readable || op->writable)
		fprintf(out, ", cut into %u and %u", op->readable, op->writable);
	if (op->what % VQSIM_BLK_KIND_COUNT == VQSIM_BLK_DISCARD ||
	    op->what % VQSIM_BLK_KIND_COUNT == VQSIM_BLK_WRITE_ZEROES)
		fprintf(out, ", segments of %u sectors, flags %u", op->count, op->at);
}

static const char *const hold_names[3] = {"nothing", "all", "all, the newest goes first"};

static void print_break(FILE *out, const struct vqsim_op *op)
{
	fprintf(out, " %s 0x%" PRIx64 " at %u, %s if it makes a chain",
		break_names[op->what % VQSIM_BREAK_COUNT], op->value, op->at,
		layout_names[op->layout % VQSIM_LAYOUT_COUNT]);
}

/* Operations of trace_session.c, and whatever has one number. */
static void print_session(FILE *out, const struct vqsim_op *op)
{
	switch (op->code) {
	case VQSIM_OP_HIDE:
	case VQSIM_OP_EXPOSE:
		fprintf(out, " region %u", op->at);
		break;
	case VQSIM_OP_BREAKAGE:
		fprintf(out, " %s", vqsim_breakages[op->value % vqsim_breakage_count].name);
		break;
	case VQSIM_OP_QUEUE_ENABLE:
		fprintf(out, " size %" PRIu32, op->size);
		break;
	case VQSIM_OP_CONFIG:
		fprintf(out, " 0x%" PRIx64 ", %" PRIu32 " bytes at %u", op->value, 1 + op->size % 8,
			op->count);
		break;
	case VQSIM_OP_HOLD:
		fprintf(out, " %s", hold_names[op->what % 3]);
		break;
	case VQSIM_OP_RELEASE:
		fprintf(out, " %u", op->at);
		break;
	case VQSIM_OP_FAIL:
		fprintf(out, " after %" PRIu64 " more, %" PRIu32 " bytes moved", op->value & 0xff,
			op->size);
		break;
	default:
		fprintf(out, " %" PRIu64, op->value);
		break;
	}
}

void vqsim_op_print(FILE *out, const struct vqsim_op *op)
{
	fprintf(out, "%-10s queue %u", code_names[op->code % VQSIM_OP_COUNT], op->queue);
	switch (op->code) {
	case VQSIM_OP_UP:
		fprintf(out, " features 0x%" PRIx64 ", size %" PRIu32 ", queues %u", op->value,
			op->size, op->count);
		break;
	case VQSIM_OP_CHAIN:
		print_chain(out, op);
		break;
	case VQSIM_OP_BLK:
		print_blk(out, op);
		break;
	case VQSIM_OP_NOTIFY:
		fputs(op->what % 2 ? " never" : " always", out);
		break;
	case VQSIM_OP_KICK:
		if (op->what % 2)
			fprintf(out, " with data 0x%" PRIx32, (uint32_t)op->value);
		break;
	case VQSIM_OP_BREAK:
		print_break(out, op);
		break;
	case VQSIM_OP_PUBLISH:
	case VQSIM_OP_RUN:
	case VQSIM_OP_REAP:
	case VQSIM_OP_RESET:
	case VQSIM_OP_QUEUE_RESET:
	case VQSIM_OP_REPLACE:
	case VQSIM_OP_DRIVER:
		break;
	default:
		print_session(out, op);
		break;
	}
	fputc('\n', out);
}
