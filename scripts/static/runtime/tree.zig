//! std::map's red-black tree: Cormen, Leiserson, Rivest, Stein, Introduction to Algorithms, chapter 13. The container
//! has a header node: its parent is the root, its left the first and its right the last node.
const std = @import("std");

const Colour = enum(c_int) { red = 0, black = 1 };
const Node = extern struct { colour: Colour, parent: ?*Node, left: ?*Node, right: ?*Node };
const Side = enum { left, right };

fn child(node: *Node, side: Side) *?*Node {
    return if (side == .left) &node.left else &node.right;
}

fn other(side: Side) Side {
    return if (side == .left) .right else .left;
}

/// A missing node is black.
fn is_black(node: ?*Node) bool {
    return node == null or node.?.colour == .black;
}

fn outermost(of: *Node, side: Side) *Node {
    var node = of;
    while (child(node, side).*) |next| node = next;
    return node;
}

/// The next node; after the last one the header.
export fn _ZSt18_Rb_tree_incrementPSt18_Rb_tree_node_base(node: *Node) *Node {
    return step(node, .right);
}

/// The previous node; before the header the last one.
export fn _ZSt18_Rb_tree_decrementPSt18_Rb_tree_node_base(node: *Node) *Node {
    // The header is red and its own grandparent, which no other node is.
    if (node.colour == .red and node.parent.?.parent == node) return node.right.?;
    return step(node, .left);
}

fn step(from: *Node, side: Side) *Node {
    if (child(from, side).*) |next| return outermost(next, other(side));
    var node = from;
    var above = node.parent.?;
    while (child(above, side).* == node) {
        node = above;
        above = above.parent.?;
    }
    // From a root without a child on this side the climb ends one too high.
    return if (child(node, side).* == above) node else above;
}

/// Replaces `upper` by `lower` in the links from above.
fn replace(upper: *Node, lower: ?*Node, header: *Node) void {
    const above = upper.parent.?;
    if (header.parent == upper) {
        header.parent = lower;
    } else {
        child(above, if (above.left == upper) .left else .right).* = lower;
    }
    if (lower) |node| node.parent = above;
}

/// Moves `node` down to `side`; its child on the other side takes its place.
fn rotate(node: *Node, side: Side, header: *Node) void {
    const risen = child(node, other(side)).*.?;
    const middle = child(risen, side).*;
    replace(node, risen, header);
    child(risen, side).* = node;
    node.parent = risen;
    child(node, other(side)).* = middle;
    if (middle) |moved| moved.parent = node;
}

export fn _ZSt29_Rb_tree_insert_and_rebalancebPSt18_Rb_tree_node_baseS0_RS_(left: bool, node: *Node, parent: *Node, header: *Node) void {
    node.* = .{ .colour = .red, .parent = parent, .left = null, .right = null };
    if (left) parent.left = node else parent.right = node;
    if (parent == header) {
        // The first one: header.left was set above.
        header.parent = node;
        header.right = node;
    } else if (left and parent == header.left) {
        header.left = node;
    } else if (!left and parent == header.right) {
        header.right = node;
    }
    mend_insertion(node, header);
}

fn mend_insertion(from: *Node, header: *Node) void {
    var node = from;
    while (node != header.parent and node.parent.?.colour == .red) {
        const grandparent = node.parent.?.parent.?;
        const side: Side = if (grandparent.left == node.parent) .left else .right;
        const uncle = child(grandparent, other(side)).*;
        if (!is_black(uncle)) {
            node.parent.?.colour = .black;
            uncle.?.colour = .black;
            grandparent.colour = .red;
            node = grandparent;
            continue;
        }
        if (child(node.parent.?, other(side)).* == node) {
            node = node.parent.?;
            rotate(node, side, header);
        }
        node.parent.?.colour = .black;
        grandparent.colour = .red;
        rotate(grandparent, other(side), header);
    }
    header.parent.?.colour = .black;
}

/// Removes `node`; returns the node to be freed, which is `node`.
export fn _ZSt28_Rb_tree_rebalance_for_erasePSt18_Rb_tree_node_baseRS_(node: *Node, header: *Node) *Node {
    const first = if (header.left == node) step(node, .right) else null;
    const last = if (header.right == node) _ZSt18_Rb_tree_decrementPSt18_Rb_tree_node_base(node) else null;
    const hole = take_out(node, header);
    if (hole.colour == .black) mend_removal(hole, header);
    if (header.parent == null) {
        header.left = header;
        header.right = header;
    } else {
        if (first) |next| header.left = next;
        if (last) |before| header.right = before;
    }
    return node;
}

/// A place that lacks a colour: the node that moved up, or null, its parent, and the colour.
const Hole = struct { node: ?*Node, parent: *Node, colour: Colour };

fn take_out(node: *Node, header: *Node) Hole {
    if (node.left == null or node.right == null) {
        const up = node.left orelse node.right;
        const hole: Hole = .{ .node = up, .parent = node.parent.?, .colour = node.colour };
        replace(node, up, header);
        return hole;
    }
    // The next node has no left child; it takes place and colour of the removed one.
    const next = outermost(node.right.?, .left);
    const parent = if (next.parent == node) next else next.parent.?;
    const hole: Hole = .{ .node = next.right, .parent = parent, .colour = next.colour };
    if (next.parent != node) {
        replace(next, next.right, header);
        next.right = node.right;
        next.right.?.parent = next;
    }
    replace(node, next, header);
    next.left = node.left;
    next.left.?.parent = next;
    next.colour = node.colour;
    return hole;
}

fn mend_removal(hole: Hole, header: *Node) void {
    var node = hole.node;
    var parent = hole.parent;
    while (node != header.parent and is_black(node)) {
        const side: Side = if (parent.left == node) .left else .right;
        var sibling = child(parent, other(side)).*.?;
        if (sibling.colour == .red) {
            sibling.colour = .black;
            parent.colour = .red;
            rotate(parent, side, header);
            sibling = child(parent, other(side)).*.?;
        }
        if (is_black(sibling.left) and is_black(sibling.right)) {
            sibling.colour = .red;
            node = parent;
            parent = parent.parent.?;
            continue;
        }
        if (is_black(child(sibling, other(side)).*)) {
            child(sibling, side).*.?.colour = .black;
            sibling.colour = .red;
            rotate(sibling, other(side), header);
            sibling = child(parent, other(side)).*.?;
        }
        sibling.colour = parent.colour;
        parent.colour = .black;
        child(sibling, other(side)).*.?.colour = .black;
        rotate(parent, side, header);
        node = header.parent;
        break;
    }
    if (node) |mended| mended.colour = .black;
}

const Number = struct {
    node: Node,
    value: u32,

    fn of(node: *Node) *Number {
        return @fieldParentPtr("node", node);
    }
};

/// Every path has the same number of black nodes, no red node has a red child, and parents are correct: returns the
/// black count.
fn assert_balanced(node: ?*Node) !usize {
    const one = node orelse return 1;
    for ([_]?*Node{ one.left, one.right }) |below| if (below) |next| {
        try std.testing.expect(next.parent == one);
        if (one.colour == .red) try std.testing.expect(next.colour == .black);
    };
    const height = try assert_balanced(one.left);
    try std.testing.expectEqual(height, try assert_balanced(one.right));
    return height + @intFromBool(one.colour == .black);
}

fn insert(number: *Number, header: *Node) void {
    var parent = header;
    var left = true;
    var next = header.parent;
    while (next) |node| {
        parent = node;
        left = number.value < Number.of(node).value;
        next = child(node, if (left) .left else .right).*;
    }
    _ZSt29_Rb_tree_insert_and_rebalancebPSt18_Rb_tree_node_baseS0_RS_(left, &number.node, parent, header);
}

fn assert_sorted(header: *Node, count: usize) !void {
    var seen: usize = 0;
    var last: i64 = -1;
    var node = header.left.?;
    while (node != header) : (node = _ZSt18_Rb_tree_incrementPSt18_Rb_tree_node_base(node)) {
        try std.testing.expect(Number.of(node).value > last);
        last = Number.of(node).value;
        seen += 1;
    }
    try std.testing.expectEqual(count, seen);
    while (seen > 0) : (seen -= 1) {
        node = _ZSt18_Rb_tree_decrementPSt18_Rb_tree_node_base(node);
        try std.testing.expect(Number.of(node).value <= last);
        last = Number.of(node).value;
    }
    try std.testing.expect(count == 0 or node == header.left.?);
}

test "numbers inserted and removed at random stay sorted, and the tree balanced" {
    var random = std.Random.DefaultPrng.init(7);
    for (0..50) |_| {
        var header: Node = .{ .colour = .red, .parent = null, .left = null, .right = null };
        header.left = &header;
        header.right = &header;
        var numbers: [200]Number = undefined;
        var present: [200]bool = @splat(false);
        var count: usize = 0;
        for (0..1000) |_| {
            const at = random.random().uintLessThan(usize, numbers.len);
            if (present[at]) {
                const freed = _ZSt28_Rb_tree_rebalance_for_erasePSt18_Rb_tree_node_baseRS_(&numbers[at].node, &header);
                try std.testing.expect(freed == &numbers[at].node);
                count -= 1;
            } else {
                numbers[at].value = @intCast(at * 7919 % numbers.len);
                insert(&numbers[at], &header);
                count += 1;
            }
            present[at] = !present[at];
            _ = try assert_balanced(header.parent);
            try assert_sorted(&header, count);
        }
    }
}
