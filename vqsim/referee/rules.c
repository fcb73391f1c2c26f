/* SPDX-License-Identifier: BSD-3-Clause */
#include "referee.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

const struct vqsim_rule_text vqsim_rules[VQSIM_RULE_COUNT] = {
	[VQSIM_RULE_USED_ID] = {"SPLIT-DX-02",
				"used id is the name of a chain that is available and not yet used",
				"PACKED-DX-08"},
	[VQSIM_RULE_USED_LEN] = {"SPLIT-D-16",
				 "used len covers only bytes of the writable part that the device "
				 "wrote",
				 "PACKED-DX-07"},
	[VQSIM_RULE_USED_LEN_EXACT] = {"SPLIT-DX-03",
				       "used len counts the bytes written into the writable part",
				       "PACKED-DX-07"},
	[VQSIM_RULE_USED_INDEX] = {"SPLIT-DX-04", "used idx grows by the number of entries", NULL},
	[VQSIM_RULE_USED_FLAGS] = {"SPLIT-D-18", "used flags is 0 or 1, and 0 with EVENT_IDX",
				   NULL},
	[VQSIM_RULE_NOTIFY_MISSING] = {"SPLIT-D-11",
				       "used entries come with a notification while the driver "
				       "wants them",
				       "PACKED-DX-14"},
	[VQSIM_RULE_NOTIFY_EXCESS] = {"SPLIT-D-10",
				      "no notification without used entries or while the driver "
				      "wants none",
				      "PACKED-DX-15"},
	[VQSIM_RULE_EVENT_MISSING] = {"SPLIT-D-13",
				      "a notification comes when the entry at the driver's event "
				      "is used",
				      "PACKED-DX-16"},
	[VQSIM_RULE_EVENT_EXCESS] = {"SPLIT-D-14",
				     "no notification comes unless the entry at the driver's event "
				     "is used",
				     "PACKED-DX-16"},
	[VQSIM_RULE_AVAIL_WRITTEN] = {"SPLIT-DX-05",
				      "the device never writes to the available ring or driver "
				      "area",
				      "PACKED-DX-02"},
	[VQSIM_RULE_DESC_WRITTEN] = {"SPLIT-D-06",
				     "the device never writes a descriptor that is not its own",
				     "PACKED-DX-11"},
	[VQSIM_RULE_AVAIL_EVENT] = {"SPLIT-DX-12", "avail_event is not written without EVENT_IDX",
				    NULL},
	[VQSIM_RULE_READABLE_WRITTEN] = {"SPLIT-D-03", "device-readable memory is never written",
					 "PACKED-D-04"},
	[VQSIM_RULE_FOOTPRINT] = {"SPLIT-D-16", "the device touches only what the driver exposed",
				  "PACKED-DX-07"},
	[VQSIM_RULE_CHAIN_LOST] = {"SPLIT-DX-02",
				   "every chain that was taken is used, however wrong it is",
				   "PACKED-DX-05"},
	[VQSIM_RULE_KICK_LOST] = {"SPLIT-D-19", "an idle device asks for a kick for the next chain",
				  "PACKED-D-11"},
	[VQSIM_RULE_PROGRESS] = {"SPLIT-DX-02", "the work of one kick comes to an end",
				 "PACKED-DX-05"},
	[VQSIM_RULE_EARLY_USE] = {"STATUS-D-01", "no buffer is used before DRIVER_OK", NULL},
	[VQSIM_RULE_EARLY_NOTIFY] = {"STATUS-D-02",
				     "no used-buffer notification comes before DRIVER_OK", NULL},
	[VQSIM_RULE_NEEDLESS_RESET] = {"STATUS-D-03",
				       "a device asks for a reset only when it cannot go on "
				       "without one",
				       NULL},
	[VQSIM_RULE_RESET_SILENT] = {"STATUS-D-04",
				     "DEVICE_NEEDS_RESET after DRIVER_OK comes with a "
				     "config-change notification",
				     NULL},
	[VQSIM_RULE_AFTER_RESET] = {"RESET-D-02",
				    "after a reset no notification is sent and no queue memory "
				    "touched (RESET-D-03)",
				    NULL},
	[VQSIM_RULE_STATUS] = {"BLK-DX-11", "every request is answered with one status byte", NULL},
	[VQSIM_RULE_DATA] = {"BLK-DX-05", "a read returns what was written last", NULL},
	[VQSIM_RULE_DURABLE] = {"BLK-D-21", "what a flush covered survives a loss of power", NULL},

	[VQSIM_RULE_IN_ORDER] = {"RFB-D-05",
				 "with IN_ORDER chains are used in the order in which they became "
				 "available, and all that one entry stands for at once",
				 NULL},
	[VQSIM_RULE_BATCH] = {"SPLIT-DX-09",
			      "a chain that an entry of IN_ORDER skips has been used completely",
			      "PACKED-DX-12"},

	[VQSIM_RULE_PACKED_WRAP] = {"PACKED-DX-04",
				    "in a used descriptor AVAIL and USED both equal the device's "
				    "wrap counter",
				    NULL},
	[VQSIM_RULE_PACKED_POSITION] = {"PACKED-D-02",
					"used descriptors go into consecutive positions of the "
					"ring",
					NULL},
	[VQSIM_RULE_PACKED_SKIPPED] = {"PACKED-DX-05",
				       "one used descriptor stands for a list; the rest of its "
				       "slots is skipped",
				       NULL},
	[VQSIM_RULE_PACKED_TOUCHED] = {"PACKED-D-07",
				       "a descriptor is not touched again once it is used", NULL},
	[VQSIM_RULE_PACKED_WRITE] = {"PACKED-DX-06",
				     "WRITE in a used descriptor says whether anything was written",
				     NULL},
	[VQSIM_RULE_PACKED_EVENT] = {"PACKED-DX-17",
				     "the flags of the device area are never 3, and 2 only with "
				     "EVENT_IDX",
				     NULL},
	[VQSIM_RULE_PACKED_RESERVED] = {"PACKED-DX-18",
					"the reserved bits of the device area are 0", NULL},

	[VQSIM_RULE_QUEUE_RESET_USED] = {"VQRESET-D-01",
					 "a queue that was reset executes no further request",
					 NULL},
	[VQSIM_RULE_QUEUE_RESET_NOTIFY] = {"VQRESET-D-02",
					   "a queue that was reset sends no notification", NULL},

	[VQSIM_RULE_STATUS_FRESH] = {"STATUS-DX-01", "the status of a fresh device reads 0", NULL},
	[VQSIM_RULE_STATUS_BITS] = {"STATUS-DX-02",
				    "the status reads back the bits that the driver wrote", NULL},
	[VQSIM_RULE_FEATURES_OFFER] = {"FEAT-DX-01",
				       "features stay as they are until the next reset", NULL},
	[VQSIM_RULE_FEATURES_ACCEPTED] = {"FEAT-D-03",
					  "FEATURES_OK does not stick with a feature that was not "
					  "offered",
					  NULL},
	[VQSIM_RULE_FEATURES_REFUSED] = {"FEAT-D-05",
					 "a set of features that was accepted once is accepted "
					 "again after a reset",
					 NULL},
	[VQSIM_RULE_CONFIG_GENERATION] = {"CONFIG-DX-02",
					  "the generation changes when the config space does",
					  NULL},
	[VQSIM_RULE_CONFIG_NOTIFY] = {"CONFIG-DX-03",
				      "a change of the config space is announced by a "
				      "notification",
				      NULL},
	[VQSIM_RULE_UNDEFINED] = {"SPLIT-D-16",
				  "every byte that used len covers was written on purpose",
				  "PACKED-DX-07"},
	[VQSIM_RULE_FS_REPLY] = {"FS-DX-05",
				 "a reply has its length in its header and as used length, the "
				 "unique of its request, and 0 or a negative errno",
				 NULL},
	[VQSIM_RULE_FS_PAYLOAD] = {"FS-DX-04",
				   "behind the header of a reply stands what its opcode asks for",
				   NULL},
	[VQSIM_RULE_FS_SILENT] = {"FS-DX-06", "a message without a reply is used with length 0",
				  NULL},
	[VQSIM_RULE_TREE_ERROR] = {"FS-DX-04",
				   "a request succeeds, or fails with the error that POSIX and "
				   "Linux give for it",
				   NULL},
	[VQSIM_RULE_TREE_ATTR] = {"FS-DX-04",
				  "attributes are those that the requests so far have made", NULL},
	[VQSIM_RULE_TREE_TIME] = {"FS-DX-04",
				  "a time changes when a request changes what it is the time of, "
				  "and only then",
				  NULL},
	[VQSIM_RULE_TREE_IDENTITY] = {"FS-DX-04",
				      "one file has one node id and one inode number, and no other "
				      "file has them",
				      NULL},
	[VQSIM_RULE_TREE_NAMES] = {"FS-DX-04",
				   "a listing has every name of the directory once, and no other",
				   NULL},
	[VQSIM_RULE_TREE_DATA] = {"FS-D-07", "a file returns what was written to it last", NULL},
	[VQSIM_RULE_TREE_XATTR] = {"FS-DX-04",
				   "extended attributes are those that were set, with their values",
				   NULL},
	[VQSIM_RULE_TREE_LOCK] = {"FS-DX-04", "a lock keeps out others while it is held", NULL},
};

/* Where more than the format of the ring decides: a split ring with EVENT_IDX, a device type. */
static const char *const with_event_idx[VQSIM_RULE_COUNT] = {
	[VQSIM_RULE_USED_FLAGS] = "SPLIT-D-20",
	[VQSIM_RULE_KICK_LOST] = "SPLIT-D-21",
};

static const char *const of_blk[VQSIM_RULE_COUNT] = {
	[VQSIM_RULE_CHAIN_LOST] = "BLK-DX-11",
	[VQSIM_RULE_PROGRESS] = "BLK-DX-11",
};

static bool has(const struct vqsim_referee *referee, unsigned bit)
{
	return referee->features & VIRTIO_FEATURE(bit);
}

const char *vqsim_referee_clause(const struct vqsim_referee *referee, enum vqsim_rule rule)
{
	const struct vqsim_rule_text *text = &vqsim_rules[rule];

	if (of_blk[rule] && referee->device_id == VIRTIO_ID_BLOCK)
		return of_blk[rule];
	if (has(referee, VIRTIO_F_RING_PACKED))
		return text->packed ? text->packed : text->clause;
	if (with_event_idx[rule] && has(referee, VIRTIO_RING_F_EVENT_IDX))
		return with_event_idx[rule];
	return text->clause;
}
