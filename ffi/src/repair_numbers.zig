//! Constants of the kernel and of this program that the repair process needs.

/// src/intercept/rules/plan.ts and src/net/alias.ts have the same; test/unit/intercept/repair/parts.test.ts compares
/// them.
pub const table = "tls-tproxy\x00";
/// A set that packets fill, with the size of its keys.
pub const Filled = struct { set: []const u8, size: usize };
/// Those that are carried over into a table that is rebuilt: src/intercept/rules/sets.ts. First connections in
/// cleartext (both ends with address and port), which the proxy is told; then ports.
pub const carried = [_]Filled{
    .{ .set = "open-before4\x00", .size = 4 * 4 },
    .{ .set = "open-before6\x00", .size = 4 + 16 + 4 + 16 },
    .{ .set = "dialled4\x00", .size = 4 * 4 },
    .{ .set = "dialled6\x00", .size = 4 + 16 + 4 + 16 },
    .{ .set = "answering-ports\x00", .size = 2 },
    .{ .set = "served-ports\x00", .size = 2 },
};
pub const told = 4;
pub const served_ports = carried[5];
/// Clients that applications see: address and port where they are seen.
pub const seen_clients = [2]Filled{ .{ .set = "seen-clients4\x00", .size = 4 + 4 }, .{ .set = "seen-clients6\x00", .size = 16 + 4 } };
pub const routing_table = 29_808;
pub const rule_priority = 100;
pub const alias4 = [4]u8{ 169, 254, 77, 1 };
pub const alias6 = [16]u8{ 0xfd, 0x74, 0x70, 0x72, 0x6f, 0x78, 0x79, 0x31, 0, 0, 0, 0, 0, 0, 0, 1 };

/// NFT_MSG_…: linux/netfilter/nf_tables.h.
pub const nft = struct {
    pub const subsystem = 10;
    pub const batch_begin = 0x10;
    pub const batch_end = 0x11;
    pub const new_table = 0;
    pub const delete_table = 2;
    pub const delete_chain = 5;
    pub const new_chain = 3;
    /// Without a handle: all rules of a chain.
    pub const delete_rule = 8;
    pub const new_set = 9;
    pub const delete_set = 11;
    pub const new_elements = 12;
    pub const get_elements = 13;
    pub const set_elements = [_]u8{ 12, 14 };
    /// New tables, chains, sets, objects and flow tables.
    pub const added = [_]u8{ 0, 3, 9, 18, 22 };
    /// New rules, and everything deleted.
    pub const changed = [_]u8{ 2, 5, 6, 8, 11, 20, 24 };
    /// The messages in a batch of ours.
    pub const allowed = [_]u8{ 0, 2, 3, 5, 6, 8, 9, 11, 12, 14 };
};

pub const family_inet = 1;
pub const af_inet = 2;
pub const af_inet6 = 10;
pub const protocol_tcp = 6;
pub const loopback = 1;
pub const set_eval = 0x20;
pub const action_lookup = 1;
pub const type_local = 2;
/// NLM_F_…
pub const request = 0x1;
pub const ack = 0x4;
pub const exclusive = 0x200;
pub const create = 0x400;
pub const dump = 0x300;
/// SOCK_DIAG_BY_FAMILY, INET_DIAG_MARK, and the size of struct inet_diag_msg: linux/sock_diag.h, inet_diag.h.
pub const diag = struct {
    pub const by_family = 20;
    pub const mark = 15;
    pub const message_size = 72;
};
/// RTM_…, FRA_…, RTA_…, IFA_…: linux/rtnetlink.h, fib_rules.h, if_addr.h.
pub const rtm = struct {
    pub const new_link = 16;
    pub const new_address = 20;
    pub const delete_address = 21;
    pub const new_route = 24;
    pub const delete_route = 25;
    pub const new_rule = 32;
    pub const delete_rule = 33;
};
pub const fra = struct {
    pub const interface = 3;
    pub const priority = 6;
    pub const mark = 10;
    pub const table = 15;
    pub const mask = 16;
};
pub const rta = struct {
    pub const destination = 1;
    pub const interface = 4;
    pub const metric = 6;
    pub const table = 15;
};
pub const ifa = struct {
    pub const address = 1;
    pub const local = 2;
    pub const cache = 6;
};
