/* SPDX-License-Identifier: BSD-3-Clause */
#include "referee.h"

const struct vqsim_rule_text vqsim_rules[VQSIM_RULE_COUNT] = {
	[VQSIM_RULE_USED_ID] = {"SPLIT-DX-02", "used id is the head of a chain that is available "
					       "and not yet used"},
	[VQSIM_RULE_USED_LEN] = {"SPLIT-D-16", "used len covers only bytes of the writable part "
					       "that the device wrote"},
	[VQSIM_RULE_USED_LEN_EXACT] = {"SPLIT-DX-03", "used len counts the bytes written into the "
						      "writable part"},
	[VQSIM_RULE_USED_INDEX] = {"SPLIT-DX-04", "used idx grows by the number of entries"},
	[VQSIM_RULE_USED_FLAGS] = {"SPLIT-D-18", "used flags is 0 or 1, and 0 with EVENT_IDX "
						 "(SPLIT-D-20)"},
	[VQSIM_RULE_NOTIFY_MISSING] = {"SPLIT-D-11", "used entries come with a notification while "
						     "avail flags is 0"},
	[VQSIM_RULE_NOTIFY_EXCESS] = {"SPLIT-D-10", "no notification without used entries or while "
						    "avail flags is 1"},
	[VQSIM_RULE_EVENT_MISSING] = {"SPLIT-D-13", "a notification comes when the entry at "
						    "used_event is written"},
	[VQSIM_RULE_EVENT_EXCESS] = {"SPLIT-D-14", "no notification comes unless the entry at "
						   "used_event is written"},
	[VQSIM_RULE_AVAIL_WRITTEN] = {"SPLIT-DX-05", "the device never writes to the available "
						     "ring"},
	[VQSIM_RULE_DESC_WRITTEN] = {"SPLIT-D-06", "the device never writes a descriptor"},
	[VQSIM_RULE_AVAIL_EVENT] = {"SPLIT-DX-12", "avail_event is not written without EVENT_IDX"},
	[VQSIM_RULE_READABLE_WRITTEN] = {"SPLIT-D-03", "device-readable memory is never written"},
	[VQSIM_RULE_FOOTPRINT] = {"SPLIT-D-16", "the device writes only what the driver exposed"},
	[VQSIM_RULE_CHAIN_LOST] = {"BLK-DX-11", "every chain that was taken is used, however wrong "
						"it is"},
	[VQSIM_RULE_KICK_LOST] = {"SPLIT-D-21", "an idle device asks for a kick for the next "
						"chain"},
	[VQSIM_RULE_PROGRESS] = {"BLK-DX-11", "the work of one kick comes to an end"},
	[VQSIM_RULE_EARLY_USE] = {"STATUS-D-01", "no buffer is used before DRIVER_OK"},
	[VQSIM_RULE_EARLY_NOTIFY] = {"STATUS-D-02", "no used-buffer notification comes before "
						    "DRIVER_OK"},
	[VQSIM_RULE_NEEDLESS_RESET] = {"STATUS-D-03", "a device asks for a reset only when it "
						      "cannot go on without one"},
	[VQSIM_RULE_RESET_SILENT] = {"STATUS-D-04", "DEVICE_NEEDS_RESET after DRIVER_OK comes with "
						    "a config-change notification"},
	[VQSIM_RULE_AFTER_RESET] = {"RESET-D-02", "after a reset no notification is sent and no "
						  "queue memory touched (RESET-D-03)"},
	[VQSIM_RULE_STATUS] = {"BLK-DX-11", "every request is answered with one status byte"},
	[VQSIM_RULE_DATA] = {"BLK-DX-05", "a read returns what was written last"},
	[VQSIM_RULE_DURABLE] = {"BLK-D-21", "what a flush covered survives a loss of power"},
};
