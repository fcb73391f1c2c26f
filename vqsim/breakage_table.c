/* SPDX-License-Identifier: BSD-3-Clause */
/* The breakages. What the short names stand for is in breakage.h. */
#include "breakage.h"

#define NEXT     VRING_DESC_F_NEXT
#define WRITE    VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT
#define AVAIL    (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED     (1u << VRING_PACKED_DESC_F_USED)

#define ADDR  VQSIM_FIELD_ADDR
#define LEN   VQSIM_FIELD_LEN
#define FLAGS VQSIM_FIELD_FLAGS
#define LINK  VQSIM_FIELD_LINK

#define SET   VQSIM_SET
#define OR    VQSIM_OR
#define CLEAR VQSIM_CLEAR
#define XOR   VQSIM_XOR

#define FIRST   VQSIM_AT_FIRST
#define SECOND  VQSIM_AT_SECOND
#define LAST    VQSIM_AT_LAST
#define POINTER VQSIM_AT_POINTER
#define RING    VQSIM_AT_RING

#define PLAIN(at, field, how, value)                \
	{                                           \
		at, field, how, VQSIM_BASE_0, value \
	}

/* clang-format off */

/* The names say what a driver did. Elements are header, data, status. */
const struct vqsim_breakage vqsim_breakages[] = {
	/* Memory */
	{"data in a hole", VQSIM_BOTH, false, VQSIM_REFUSES,
	 {{SECOND, ADDR, SET, VQSIM_BASE_HOLE, 0}}},
	{"data across the end of memory", VQSIM_BOTH, false, VQSIM_REFUSES,
	 {{SECOND, ADDR, SET, VQSIM_BASE_EDGE, -(uint64_t)8}}},
	{"data around 2^64", VQSIM_BOTH, false, VQSIM_REFUSES,
	 {PLAIN(SECOND, ADDR, SET, UINT64_MAX - 7)}},
	{"data of 4 GiB", VQSIM_BOTH, false, VQSIM_REFUSES,
	 {PLAIN(SECOND, LEN, SET, UINT32_MAX)}},
	{"header in a hole", VQSIM_BOTH, false, VQSIM_REFUSES,
	 {{FIRST, ADDR, SET, VQSIM_BASE_HOLE, 0}}},
	{"status in a hole", VQSIM_BOTH, false, VQSIM_REFUSES,
	 {{LAST, ADDR, SET, VQSIM_BASE_HOLE, 0}}},
	{"empty data in a hole", VQSIM_BOTH, false, VQSIM_SERVES,
	 {{SECOND, ADDR, SET, VQSIM_BASE_HOLE, 0}, PLAIN(SECOND, LEN, SET, 0)}},

	/* Directions and lengths */
	{"status that can only be read", VQSIM_BOTH, false, VQSIM_REFUSES,
	 {PLAIN(LAST, FLAGS, CLEAR, WRITE)}},
	{"nothing to write to", VQSIM_BOTH, false, VQSIM_REFUSES,
	 {PLAIN(SECOND, FLAGS, CLEAR, WRITE), PLAIN(LAST, FLAGS, CLEAR, WRITE)}},
	{"header that can be written", VQSIM_BOTH, false, VQSIM_REFUSES,
	 {PLAIN(FIRST, FLAGS, OR, WRITE)}},
	{"empty header", VQSIM_BOTH, false, VQSIM_REFUSES,
	 {PLAIN(FIRST, LEN, SET, 0), PLAIN(SECOND, LEN, SET, 0)}},
	{"header one byte short", VQSIM_BOTH, false, VQSIM_REFUSES,
	 {PLAIN(FIRST, LEN, SET, 15), PLAIN(SECOND, LEN, SET, 0)}},
	{"all empty", VQSIM_BOTH, false, VQSIM_REFUSES,
	 {PLAIN(FIRST, LEN, SET, 0), PLAIN(SECOND, LEN, SET, 0), PLAIN(LAST, LEN, SET, 0)}},
	{"header and nothing else", VQSIM_SPLIT, false, VQSIM_REFUSES,
	 {PLAIN(FIRST, FLAGS, CLEAR, NEXT)}},

	/* Flags */
	{"bits that no standard knows", VQSIM_BOTH, false, VQSIM_SERVES | VQSIM_REFUSES,
	 {PLAIN(SECOND, FLAGS, OR, 0x78)}},
	{"INDIRECT and NEXT on the first", VQSIM_BOTH, false, VQSIM_REFUSES,
	 {PLAIN(FIRST, FLAGS, OR, INDIRECT)}},
	{"INDIRECT and NEXT amid a chain", VQSIM_BOTH, false, VQSIM_REFUSES,
	 {PLAIN(SECOND, FLAGS, OR, INDIRECT)}},

	/* Links of a split ring */
	{"next one past the table", VQSIM_SPLIT, false, VQSIM_REFUSES,
	 {{FIRST, LINK, SET, VQSIM_BASE_SIZE, 0}}},
	{"next far past the table", VQSIM_SPLIT, false, VQSIM_REFUSES,
	 {PLAIN(FIRST, LINK, SET, 0xffff)}},
	{"next right modulo the size", VQSIM_SPLIT, false, VQSIM_REFUSES,
	 {{SECOND, LINK, VQSIM_ADD, VQSIM_BASE_SIZE, 0}}},
	{"next of the last leaves the table", VQSIM_SPLIT, false, VQSIM_REFUSES,
	 {PLAIN(LAST, FLAGS, OR, NEXT), {LAST, LINK, SET, VQSIM_BASE_SIZE, 0}}},
	{"wild next without NEXT", VQSIM_SPLIT, false, VQSIM_SERVES,
	 {PLAIN(LAST, LINK, SET, 0xfffe)}},
	{"first names itself", VQSIM_SPLIT, false, VQSIM_REFUSES,
	 {{FIRST, LINK, SET, VQSIM_BASE_SELF, 0}, PLAIN(FIRST, LEN, SET, 0)}},
	{"last names itself", VQSIM_SPLIT, false, VQSIM_REFUSES,
	 {PLAIN(LAST, FLAGS, OR, NEXT), {LAST, LINK, SET, VQSIM_BASE_SELF, 0}}},
	{"empty last names itself", VQSIM_SPLIT, false, VQSIM_REFUSES,
	 {PLAIN(LAST, FLAGS, OR, NEXT), {LAST, LINK, SET, VQSIM_BASE_SELF, 0},
	  PLAIN(LAST, LEN, SET, 0)}},
	{"4 GiB that name themselves", VQSIM_SPLIT, false, VQSIM_REFUSES,
	 {PLAIN(SECOND, FLAGS, OR, WRITE), PLAIN(SECOND, LEN, SET, UINT32_MAX),
	  {SECOND, LINK, SET, VQSIM_BASE_SELF, 0}}},
	{"two name each other", VQSIM_SPLIT, false, VQSIM_REFUSES,
	 {PLAIN(SECOND, FLAGS, OR, WRITE), PLAIN(LAST, FLAGS, OR, NEXT),
	  {LAST, LINK, SET, VQSIM_BASE_SECOND, 0}}},
	{"empty ones go round", VQSIM_SPLIT, false, VQSIM_REFUSES,
	 {PLAIN(FIRST, LEN, SET, 0), PLAIN(SECOND, LEN, SET, 0),
	  PLAIN(SECOND, FLAGS, CLEAR, WRITE), {SECOND, LINK, SET, VQSIM_BASE_HEAD, 0}}},
	{"last names the first", VQSIM_SPLIT, false, VQSIM_REFUSES,
	 {PLAIN(LAST, FLAGS, OR, NEXT), {LAST, LINK, SET, VQSIM_BASE_HEAD, 0}}},

	/* The available ring */
	{"head is the queue size", VQSIM_SPLIT, false, VQSIM_REFUSES,
	 {{RING, VQSIM_FIELD_ENTRY, SET, VQSIM_BASE_SIZE, 0}}},
	{"head is 0xffff", VQSIM_SPLIT, false, VQSIM_REFUSES,
	 {PLAIN(RING, VQSIM_FIELD_ENTRY, SET, 0xffff)}},
	{"head right modulo the size", VQSIM_SPLIT, false, VQSIM_REFUSES,
	 {{RING, VQSIM_FIELD_ENTRY, VQSIM_ADD, VQSIM_BASE_SIZE, 0}}},
	{"head of a descriptor never written", VQSIM_SPLIT, false, VQSIM_REFUSES,
	 {{RING, VQSIM_FIELD_ENTRY, SET, VQSIM_BASE_SIZE, -(uint64_t)1}}},
	{"head twice", VQSIM_SPLIT, false, VQSIM_SERVES | VQSIM_REFUSES,
	 {{RING, VQSIM_FIELD_AFTER, SET, VQSIM_BASE_HEAD, 0},
	  PLAIN(RING, VQSIM_FIELD_INDEX, VQSIM_ADD, 1)}},
	{"index jumps by more than the size", VQSIM_SPLIT, false, VQSIM_REFUSES,
	 {{RING, VQSIM_FIELD_INDEX, VQSIM_ADD, VQSIM_BASE_SIZE, 1}}},
	{"index jumps by half its range", VQSIM_SPLIT, false, VQSIM_REFUSES,
	 {PLAIN(RING, VQSIM_FIELD_INDEX, VQSIM_ADD, 0x8000)}},
	{"index goes back", VQSIM_SPLIT, false, VQSIM_REFUSES,
	 {PLAIN(RING, VQSIM_FIELD_INDEX, VQSIM_ADD, -(uint64_t)2)}},
	{"index covers entries without a chain", VQSIM_SPLIT, false, VQSIM_SERVES | VQSIM_REFUSES,
	 {{RING, VQSIM_FIELD_INDEX, VQSIM_ADD, VQSIM_BASE_SIZE, -(uint64_t)1}}},
	{"other flags of the available ring", VQSIM_SPLIT, false, VQSIM_SERVES,
	 {PLAIN(RING, VQSIM_FIELD_EVENT, SET, 0xfffe)}},

	/* A packed ring */
	{"head without AVAIL", VQSIM_PACKED, false, VQSIM_IGNORES,
	 {PLAIN(FIRST, FLAGS, XOR, AVAIL)}},
	/* The driver then takes its own mark for the device's. */
	{"head marked as used", VQSIM_PACKED, false, VQSIM_IGNORES | VQSIM_FAILS,
	 {PLAIN(FIRST, FLAGS, XOR, USED)}},
	{"head of another lap", VQSIM_PACKED, false, VQSIM_IGNORES,
	 {PLAIN(FIRST, FLAGS, XOR, AVAIL | USED)}},
	{"second without AVAIL", VQSIM_PACKED, false, VQSIM_ANYTHING,
	 {PLAIN(SECOND, FLAGS, XOR, AVAIL)}},
	{"second of another lap", VQSIM_PACKED, false, VQSIM_ANYTHING,
	 {PLAIN(SECOND, FLAGS, XOR, AVAIL | USED)}},
	{"NEXT on the last", VQSIM_PACKED, false, VQSIM_ANYTHING,
	 {PLAIN(LAST, FLAGS, OR, NEXT)}},
	{"header and nothing behind it", VQSIM_PACKED, false, VQSIM_ANYTHING,
	 {PLAIN(FIRST, FLAGS, CLEAR, NEXT)}},
	{"id that the driver does not know", VQSIM_PACKED, false, VQSIM_SERVES | VQSIM_REFUSES,
	 {PLAIN(LAST, LINK, SET, 0xffff)}},
	{"other ids before the last", VQSIM_PACKED, false, VQSIM_SERVES,
	 {PLAIN(FIRST, LINK, SET, 0xffff), PLAIN(SECOND, LINK, SET, 0xfffe)}},
	{"event flags that are reserved", VQSIM_PACKED, false, VQSIM_SERVES,
	 {PLAIN(RING, VQSIM_FIELD_EVENT, SET, 0x00030000)}},
	{"event offset outside the ring", VQSIM_PACKED, false, VQSIM_SERVES,
	 {PLAIN(RING, VQSIM_FIELD_EVENT, SET, 0x0002ffff)}},

	/* Indirect tables */
	{"table in a hole", VQSIM_BOTH, true, VQSIM_REFUSES,
	 {{POINTER, ADDR, SET, VQSIM_BASE_HOLE, 0}}},
	{"table across the end of memory", VQSIM_BOTH, true, VQSIM_REFUSES,
	 {{POINTER, ADDR, SET, VQSIM_BASE_EDGE, -(uint64_t)16}}},
	{"table around 2^64", VQSIM_BOTH, true, VQSIM_REFUSES,
	 {PLAIN(POINTER, ADDR, SET, UINT64_MAX - 15)}},
	{"table of length 0", VQSIM_BOTH, true, VQSIM_REFUSES,
	 {PLAIN(POINTER, LEN, SET, 0)}},
	{"table of length 8", VQSIM_BOTH, true, VQSIM_REFUSES,
	 {PLAIN(POINTER, LEN, SET, 8)}},
	{"table length one too large", VQSIM_BOTH, true, VQSIM_REFUSES,
	 {PLAIN(POINTER, LEN, VQSIM_ADD, 1)}},
	{"table length one too small", VQSIM_BOTH, true, VQSIM_REFUSES,
	 {PLAIN(POINTER, LEN, VQSIM_ADD, -(uint64_t)1)}},
	{"table of almost 4 GiB", VQSIM_BOTH, true, VQSIM_REFUSES,
	 {PLAIN(POINTER, LEN, SET, 0xfffffff0)}},
	{"table of 65536 entries", VQSIM_BOTH, true, VQSIM_REFUSES,
	 {PLAIN(POINTER, LEN, SET, 16 * 65536)}},
	{"table and NEXT", VQSIM_BOTH, true, VQSIM_REFUSES,
	 {PLAIN(POINTER, FLAGS, OR, NEXT)}},
	{"table inside a table", VQSIM_SPLIT, true, VQSIM_REFUSES,
	 {{FIRST, ADDR, SET, VQSIM_BASE_TABLE, 16}, PLAIN(FIRST, LEN, SET, 32),
	  PLAIN(FIRST, FLAGS, SET, INDIRECT)}},
	{"table that is its own first entry", VQSIM_SPLIT, true, VQSIM_REFUSES,
	 {{FIRST, ADDR, SET, VQSIM_BASE_TABLE, 0}, PLAIN(FIRST, LEN, SET, 16),
	  PLAIN(FIRST, FLAGS, SET, INDIRECT)}},
	{"WRITE on the pointer to a table", VQSIM_BOTH, true, VQSIM_SERVES,
	 {PLAIN(POINTER, FLAGS, OR, WRITE)}},
	{"data of a table in a hole", VQSIM_BOTH, true, VQSIM_REFUSES,
	 {{SECOND, ADDR, SET, VQSIM_BASE_HOLE, 0}}},
	{"readable after writable in a table", VQSIM_BOTH, true, VQSIM_REFUSES,
	 {PLAIN(FIRST, FLAGS, OR, WRITE), PLAIN(SECOND, FLAGS, CLEAR, WRITE)}},
	{"next past a table", VQSIM_SPLIT, true, VQSIM_REFUSES,
	 {{SECOND, LINK, SET, VQSIM_BASE_COUNT, 0}}},
	{"next right modulo the entries", VQSIM_SPLIT, true, VQSIM_REFUSES,
	 {{SECOND, LINK, VQSIM_ADD, VQSIM_BASE_COUNT, 0}}},
	{"NEXT on the last entry", VQSIM_SPLIT, true, VQSIM_REFUSES,
	 {PLAIN(LAST, FLAGS, OR, NEXT), {LAST, LINK, SET, VQSIM_BASE_COUNT, 0}}},
	{"last entry names itself", VQSIM_SPLIT, true, VQSIM_REFUSES,
	 {PLAIN(LAST, FLAGS, OR, NEXT), {LAST, LINK, SET, VQSIM_BASE_SELF, 0}}},
	{"empty entries go round", VQSIM_SPLIT, true, VQSIM_REFUSES,
	 {PLAIN(FIRST, LEN, SET, 0), PLAIN(FIRST, LINK, SET, 0)}},
	{"NEXT in the entries", VQSIM_PACKED, true, VQSIM_SERVES | VQSIM_REFUSES,
	 {PLAIN(FIRST, FLAGS, OR, NEXT), PLAIN(LAST, FLAGS, OR, NEXT)}},
	{"AVAIL and USED in the entries", VQSIM_PACKED, true, VQSIM_SERVES | VQSIM_REFUSES,
	 {PLAIN(FIRST, FLAGS, OR, AVAIL | USED), PLAIN(LAST, FLAGS, OR, AVAIL | USED)}},
	/* Of the flags of an entry only WRITE has a meaning (2.8.7). */
	{"INDIRECT in the entries", VQSIM_PACKED, true, VQSIM_SERVES | VQSIM_REFUSES,
	 {{FIRST, ADDR, SET, VQSIM_BASE_TABLE, 0}, PLAIN(FIRST, FLAGS, SET, INDIRECT)}},
	{"ids in the entries", VQSIM_PACKED, true, VQSIM_SERVES,
	 {PLAIN(FIRST, LINK, SET, 0xffff), PLAIN(LAST, LINK, SET, 0xffff)}},
};

/* clang-format on */

const unsigned vqsim_breakage_count = sizeof(vqsim_breakages) / sizeof(vqsim_breakages[0]);
