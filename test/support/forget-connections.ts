/**
 * Runs in a pod: conntrack there forgets all connections, as when their entries expire. IPCTNL_MSG_CT_DELETE without a
 * tuple: linux/netfilter/nf_conntrack_netlink.c.
 */
import { kernel, protocol } from "../../src/netlink/socket.ts";

using conversation = kernel(protocol.netfilter);
/** NFNL_SUBSYS_CTNETLINK and the message's number; NLM_F_REQUEST and NLM_F_ACK; an empty struct nfgenmsg. */
const request = { type: (1 << 8) | 2, flags: 5, body: [new Uint8Array(4)], about: "conntrack" };
conversation.send([request]);
