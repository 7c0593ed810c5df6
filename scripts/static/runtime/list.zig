//! std::list: a ring of nodes.
const std = @import("std");

const Node = extern struct { next: *Node, previous: *Node };

/// Inserts a node before another one.
export fn _ZNSt8__detail15_List_node_base7_M_hookEPS0_(node: *Node, before: *Node) void {
    node.next = before;
    node.previous = before.previous;
    before.previous.next = node;
    before.previous = node;
}

export fn _ZNSt8__detail15_List_node_base9_M_unhookEv(node: *Node) void {
    node.next.previous = node.previous;
    node.previous.next = node.next;
}

test "nodes are in insertion order, and leave no gap" {
    var head: Node = undefined;
    head = .{ .next = &head, .previous = &head };
    var nodes: [3]Node = undefined;
    for (&nodes) |*node| _ZNSt8__detail15_List_node_base7_M_hookEPS0_(node, &head);
    try std.testing.expect(head.next == &nodes[0] and head.previous == &nodes[2]);
    _ZNSt8__detail15_List_node_base9_M_unhookEv(&nodes[1]);
    try std.testing.expect(nodes[0].next == &nodes[2] and nodes[2].previous == &nodes[0]);
}
