//! The repair process: it runs beside the proxy and holds CAP_NET_ADMIN after the proxy has dropped it. It receives
//! notices of changes to our table, rules, routes and addresses by other processes, and restores them at once. What
//! it writes was loaded before the proxy read its first credential; after that the proxy can only choose among the
//! loaded parts. It has no allocator and no thread; its buffers are one mapping, of which only the used pages take
//! memory.
const std = @import("std");
const linux = std.os.linux;
const batch = @import("repair_batch.zig");
const channel = @import("repair_channel.zig");
const check = @import("repair_check.zig");
const confine = @import("repair_confine.zig");
const kernel = @import("repair_kernel.zig");
const next = @import("repair_next.zig");
const notice = @import("repair_notice.zig");
const numbers = @import("repair_numbers.zig");
const pace = @import("repair_pace.zig");
const sockets_of = @import("repair_sockets.zig");
const socket = @import("socket.zig");
const wire = @import("repair_wire.zig");

/// The descriptor for the proxy: the repair process's standard input.
pub const proxy_fd = 0;

/// The descriptor for the launcher, if there is one.
pub const launcher_fd = 3;

const part = next.part;
const part_bytes_max = next.part_bytes_max;
const send_bytes_max = 12 << 20;

const Store = struct {
    parts: [2]next.Parts,
    kept: [kept_bytes]u8,
    clients: [2][batch.kept_max * 20]u8,
    ports: [2 << 16]u8,
    send: [send_bytes_max]u8,
    receive: [1 << 16]u8,
    channel: channel.Buffers,
    launcher: channel.Buffers,
};

const RepairProcess = struct {
    store: *Store,
    current: next.Loaded,
    next: next.Next,
    fleeting: notice.Names = .{},
    kept: [numbers.carried.len]batch.Kept,
    channel: channel.Channel,
    /// Body of a frame that is not a part.
    request: [check.socket_request_size]u8 = undefined,
    table_notices: i32,
    route_notices: i32,
    table_requests: i32,
    route_requests: i32,
    sockets_requests: i32,
    table_port: u32,
    route_port: u32,
    sealed: bool = false,
    /// The part that is the current table.
    state: usize = part.open,
    table: notice.TableChange = .none,
    /// The last write was from nothing.
    from_nothing: bool = false,
    routes: notice.RouteChange = .none,
    pace: pace.Pace = .{},
    repairs: u32 = 0,
    failing: i32 = 0,

    fn loaded(self: *RepairProcess, index: usize) []const u8 {
        return self.current.get(index);
    }

    fn turn(self: *RepairProcess) void {
        const pending = self.table != .none or self.routes != .none;
        const wait: i64 = if (pending) self.pace.wait(now()) else -1;
        const launcher: i32 = if (self.next.channel.ended) -1 else launcher_fd;
        var watched = [4]linux.pollfd{
            .{ .fd = self.table_notices, .events = linux.POLL.IN, .revents = 0 },
            .{ .fd = self.route_notices, .events = linux.POLL.IN, .revents = 0 },
            .{ .fd = proxy_fd, .events = self.channel.events(), .revents = 0 },
            .{ .fd = launcher, .events = linux.POLL.IN, .revents = 0 },
        };
        poll(&watched, wait);
        const woken = now();
        if (watched[0].revents != 0) self.hear_table();
        if (watched[1].revents != 0) self.hear_routes();
        const due = self.table != .none or self.routes != .none;
        if (due and self.pace.wait(now()) == 0) self.repair(woken);
        if (watched[2].revents != 0) self.speak();
        if (watched[3].revents != 0) if (self.next.hear()) |outcome| self.prepared(outcome);
    }

    /// Before sealing there is nothing of ours to repair.
    fn hear_table(self: *RepairProcess) void {
        var changes: notice.TableChanges = .{ .sum = self.table, .from_nothing = self.from_nothing };
        while (kernel.receive(self.table_notices, &self.store.receive)) |bytes| {
            if (self.sealed) changes.hear(bytes, self.table_port, &self.fleeting);
        }
        self.table = changes.worst();
    }

    fn hear_routes(self: *RepairProcess) void {
        while (kernel.receive(self.route_notices, &self.store.receive)) |bytes| {
            if (!self.sealed) continue;
            const change = if (bytes.len == 0) .near else notice.route_change(bytes, self.route_port);
            self.routes = self.routes.worse(change);
        }
    }

    /// The table first: it is what keeps traffic from passing in cleartext.
    fn repair(self: *RepairProcess, woken: u64) void {
        const wrote_table = self.table != .none;
        const is_ours = wrote_table or self.routes == .ours;
        var added: usize = 0;
        const refusal = self.write(&added);
        self.pace.done(now(), refusal == 0);
        if (refusal < 0) {
            if (refusal != self.failing) self.channel.report(.failed, @intCast(-refusal), &.{});
            self.failing = refusal;
            return;
        }
        self.table = .none;
        self.routes = .none;
        const was_failing = self.failing != 0;
        self.failing = 0;
        if (!is_ours and added == 0 and !was_failing) return;
        self.repairs += 1;
        const took = (now() - woken) / 1000;
        if (wrote_table) self.collect();
        self.channel.restored(.{ .repairs = self.repairs, .table = wrote_table, .microseconds = @intCast(@min(took, std.math.maxInt(u32))) }, self.kept[0..numbers.told]);
    }

    fn write(self: *RepairProcess, added: *usize) i32 {
        if (self.table != .none) {
            const refusal = self.write_table(self.table);
            if (refusal < 0) return refusal;
            self.refill();
        }
        return self.write_routing(added);
    }

    /// Completes the table; rewrites it from nothing if others have added something to it, or if it cannot be
    /// completed.
    fn write_table(self: *RepairProcess, change: notice.TableChange) i32 {
        const whole = self.loaded(self.state);
        if (change != .shape and kernel.request(self.table_requests, whole, &self.store.receive) == 0) {
            self.from_nothing = false;
            return 0;
        }
        return self.write_anew(whole);
    }

    /// With what the kernel's sets contain now.
    fn write_anew(self: *RepairProcess, whole: []const u8) i32 {
        self.collect();
        const refusal = self.write_from_nothing(whole);
        if (refusal == 0) return 0;
        // There may be more connections than the sets hold: then they are not restored.
        for (self.kept[0..numbers.told]) |*one| one.count = 0;
        return self.write_from_nothing(whole);
    }

    /// Changes the table to that of another batch; what packets have filled stays, if the table is still there.
    fn write_next(self: *RepairProcess, whole: []const u8) i32 {
        if (self.table != .shape) {
            var writer: wire.Writer = .{ .buffer = &self.store.send };
            batch.without_gone(&writer, whole, self.loaded(self.state));
            if (!writer.full and kernel.request(self.table_requests, writer.written(), &self.store.receive) == 0) {
                self.from_nothing = false;
                return 0;
            }
        }
        // A set that changes its kind (single ports, ranges) cannot be changed in place.
        return self.write_anew(whole);
    }

    /// Adds what the sockets tell, after any write. A kernel that does not list sockets (CONFIG_INET_DIAG) leaves the
    /// sets as they were written.
    fn refill(self: *RepairProcess) void {
        var sockets: sockets_of.Sockets = .{ .mask = sockets_of.mask_of(self.loaded(part.routing)), .clients = undefined };
        for (&sockets.clients, numbers.seen_clients, &self.store.clients) |*clients, set, *bytes| clients.* = .of(set, bytes);
        for (sockets_of.families) |family| {
            var writer: wire.Writer = .{ .buffer = &self.store.send };
            sockets_of.ask(&writer, family);
            if (kernel.send(self.sockets_requests, writer.written()) < 0) continue;
            while (kernel.receive(self.sockets_requests, &self.store.receive)) |datagram| {
                var messages: wire.Messages = .{ .rest = datagram };
                while (messages.next()) |message| sockets.read(message);
            }
        }
        var served: batch.Kept = .of(numbers.served_ports, &self.store.ports);
        sockets.ports(&served);
        for ([_]batch.Kept{ served, sockets.clients[0], sockets.clients[1] }) |one| self.fill(one);
    }

    /// In a batch of its own: a set that is full must not keep others from being filled.
    fn fill(self: *RepairProcess, kept: batch.Kept) void {
        if (kept.count == 0) return;
        var writer: wire.Writer = .{ .buffer = &self.store.send };
        batch.filling(&writer, kept);
        if (!writer.full) _ = kernel.request(self.table_requests, writer.written(), &self.store.receive);
    }

    fn write_from_nothing(self: *RepairProcess, whole: []const u8) i32 {
        var writer: wire.Writer = .{ .buffer = &self.store.send };
        batch.from_nothing(&writer, whole, &self.kept);
        if (writer.full) return -@as(i32, @intFromEnum(linux.E.MSGSIZE));
        const refusal = kernel.request(self.table_requests, writer.written(), &self.store.receive);
        if (refusal == 0) self.from_nothing = true;
        return refusal;
    }

    /// Adds what is missing; a family that the kernel does not support stays missing.
    fn write_routing(self: *RepairProcess, added: *usize) i32 {
        var messages: wire.Messages = .{ .rest = self.loaded(part.routing) };
        while (messages.next()) |message| {
            const refusal = kernel.request(self.route_requests, message.whole, &self.store.receive);
            switch (-refusal) {
                0 => added.* += 1,
                @intFromEnum(linux.E.EXIST), @intFromEnum(linux.E.AFNOSUPPORT), @intFromEnum(linux.E.OPNOTSUPP), @intFromEnum(linux.E.ACCES) => {},
                else => if (check.is_needed(message)) return refusal,
            }
        }
        return 0;
    }

    /// Collects what the kernel's sets contain.
    fn collect(self: *RepairProcess) void {
        for (&self.kept) |*one| {
            one.count = 0;
            var writer: wire.Writer = .{ .buffer = &self.store.send };
            batch.ask(&writer, one.set);
            if (kernel.send(self.table_requests, writer.written()) < 0) continue;
            while (kernel.receive(self.table_requests, &self.store.receive)) |datagram| {
                var messages: wire.Messages = .{ .rest = datagram };
                while (messages.next()) |message| one.read(message);
            }
        }
    }

    fn speak(self: *RepairProcess) void {
        self.channel.flush();
        const frame = self.channel.read(self) orelse return;
        switch (frame.kind) {
            .load => self.current.lengths[frame.argument] = frame.body.len,
            .seal => self.answer(self.seal()),
            .use => self.answer(self.use(frame.argument)),
            .destroy => self.destroy(frame.body),
            .prepare => if (self.next.ask(frame.argument)) |outcome| self.tell(outcome, frame.argument),
            .adopt => self.answer(self.adopt()),
            .digest, .end => {},
        }
    }

    /// The place for the body of a frame; null if a frame of this kind and length is not allowed now.
    pub fn place(self: *RepairProcess, kind: channel.Kind, argument: u32, length: u32) ?[]u8 {
        switch (kind) {
            .load => {
                if (self.sealed or argument >= part.count or length > part_bytes_max) return null;
                self.current.lengths[argument] = 0;
                return self.current.parts.bytes[argument][0..length];
            },
            .seal => return if (self.sealed or length != 0) null else &.{},
            .use => return if (!self.sealed or argument < part.open or argument >= part.count or length != 0) null else &.{},
            .destroy => return if (length == self.request.len) &self.request else null,
            .prepare, .adopt => return if (!self.sealed or length != 0) null else &.{},
            .digest, .end => return null,
        }
    }

    /// From here on the loaded parts are fixed; the table is completed once, which shows that it can be.
    fn seal(self: *RepairProcess) i32 {
        if (!self.current.is_ours()) return invalid;
        self.fleeting = notice.fleeting_sets(self.loaded(part.open));
        self.hear_table();
        self.hear_routes();
        self.sealed = true;
        var added: usize = 0;
        self.table = .content;
        const refusal = self.write(&added);
        self.table = .none;
        self.sealed = refusal == 0;
        return refusal;
    }

    fn use(self: *RepairProcess, state: u32) i32 {
        const before = self.state;
        self.state = state;
        const refusal = self.write_table(if (self.table == .shape) .shape else .content);
        if (refusal < 0) {
            self.state = before;
            return refusal;
        }
        self.table = .none;
        self.refill();
        return 0;
    }

    /// One transaction: the rules are either the next ones or the former ones. Pending changes no longer count.
    fn adopt(self: *RepairProcess) i32 {
        if (!self.next.ready) return invalid;
        const refusal = self.write_next(self.next.loaded.get(part.open));
        if (refusal < 0) return refusal;
        std.mem.swap(next.Loaded, &self.current, &self.next.loaded);
        self.next.forget();
        self.fleeting = notice.fleeting_sets(self.loaded(part.open));
        self.state = part.open;
        self.table = .none;
        self.refill();
        // The routes are checked as after a change by others.
        self.routes = self.routes.worse(.near);
        return 0;
    }

    fn prepared(self: *RepairProcess, outcome: next.Outcome) void {
        const number = self.next.asked orelse unasked;
        self.next.asked = null;
        self.tell(outcome, number);
    }

    fn tell(self: *RepairProcess, outcome: next.Outcome, number: u32) void {
        const whole = 4 + next.digest_bytes;
        var body: [whole + next.reason_bytes_max]u8 = @splat(0);
        @memcpy(body[0..4], std.mem.asBytes(&number));
        if (outcome == .good) @memcpy(body[4..whole], &self.next.digest);
        const reason: []const u8 = if (outcome == .not_read) self.next.reason[0..self.next.reason_length] else &.{};
        @memcpy(body[whole..][0..reason.len], reason);
        self.channel.report(.prepared, @intFromEnum(outcome), body[0 .. whole + reason.len]);
    }

    fn answer(self: *RepairProcess, refusal: i32) void {
        if (refusal == 0) self.collect();
        self.channel.done(refusal, self.kept[0..numbers.told]);
    }

    /// SOCK_DESTROY: linux/sock_diag.h.
    fn destroy(self: *RepairProcess, body: []const u8) void {
        const refusal = if (check.is_one_socket(body)) self.destroy_socket(body) else invalid;
        self.channel.report(.destroyed, @intCast(-refusal), &.{});
    }

    fn destroy_socket(self: *RepairProcess, body: []const u8) i32 {
        var buffer: [128]u8 = undefined;
        var writer: wire.Writer = .{ .buffer = &buffer };
        const at = writer.begin(sock_destroy, numbers.request | numbers.ack);
        writer.put(body);
        writer.end(at);
        return kernel.request(self.sockets_requests, writer.written(), &self.store.receive);
    }
};

/// Never returns: exits when the proxy does.
pub fn run() noreturn {
    confine.settle("tls-tproxy-keep");
    // This process must not write to the proxy's output.
    for ([_]i32{ 1, 2 }) |fd| _ = linux.close(fd);
    const has_launcher = socket.result(linux.fcntl(launcher_fd, linux.F.GETFD, 0)) >= 0;
    const store = map() orelse exit(1);
    var process = open(store) orelse exit(1);
    process.next.channel.ended = !has_launcher;
    _ = confine.seal();
    process.channel.report(.ready, version, std.mem.asBytes(&[2]u32{ process.table_port, process.route_port }));
    while (true) process.turn();
}

pub fn exit(status: i32) noreturn {
    linux.exit_group(status);
}

fn map() ?*Store {
    const raw = linux.mmap(null, @sizeOf(Store), .{ .READ = true, .WRITE = true }, .{ .TYPE = .PRIVATE, .ANONYMOUS = true, .NORESERVE = true }, -1, 0);
    return if (@as(isize, @bitCast(raw)) < 0) null else @ptrFromInt(raw);
}

fn kept_in(store: *Store) [numbers.carried.len]batch.Kept {
    var kept: [numbers.carried.len]batch.Kept = undefined;
    var rest: []u8 = &store.kept;
    for (&kept, numbers.carried) |*one, set| {
        one.* = .of(set, rest[0 .. batch.kept_max * set.size]);
        rest = rest[batch.kept_max * set.size ..];
    }
    return kept;
}

const kept_bytes = bytes: {
    var sum: usize = 0;
    for (numbers.carried) |set| sum += batch.kept_max * set.size;
    break :bytes sum;
};

/// Subscribes to notices before anything is loaded, so that none is missed.
fn open(store: *Store) ?RepairProcess {
    const table_notices = kernel.open_notices(.netfilter, &.{group.nftables});
    const route_notices = kernel.open_notices(.route, &group.routes);
    const table_requests = kernel.open_requests(.netfilter);
    const route_requests = kernel.open_requests(.route);
    const sockets_requests = kernel.open_requests(.diag);
    for ([_]i32{ table_notices, route_notices, table_requests, route_requests, sockets_requests }) |fd| if (fd < 0) return null;
    return .{
        .store = store,
        .kept = kept_in(store),
        .current = .{ .parts = &store.parts[0] },
        .next = .{
            .loaded = .{ .parts = &store.parts[1] },
            .channel = .{ .fd = launcher_fd, .buffers = &store.launcher, .vital = false },
        },
        .channel = .{ .fd = proxy_fd, .buffers = &store.channel },
        .table_notices = table_notices,
        .route_notices = route_notices,
        .table_requests = table_requests,
        .route_requests = route_requests,
        .sockets_requests = sockets_requests,
        .table_port = kernel.port_of(table_requests),
        .route_port = kernel.port_of(route_requests),
    };
}

/// Microseconds would do; the kernel counts nanoseconds. Without the vDSO, which a process without libc would have to
/// find.
fn now() u64 {
    var time: linux.timespec = undefined;
    _ = linux.syscall2(.clock_gettime, @intFromEnum(linux.CLOCK.MONOTONIC), @intFromPtr(&time));
    return @as(u64, @intCast(time.sec)) * std.time.ns_per_s + @as(u64, @intCast(time.nsec));
}

/// `nanoseconds` below 0: no time-out.
fn poll(watched: []linux.pollfd, nanoseconds: i64) void {
    var time: linux.timespec = .{ .sec = @divTrunc(nanoseconds, std.time.ns_per_s), .nsec = @mod(nanoseconds, std.time.ns_per_s) };
    _ = linux.ppoll(watched.ptr, watched.len, if (nanoseconds < 0) null else &time, null);
}

/// src/intercept/repair/frames.ts has the same.
pub const version = 4;
/// The number of a report that answers no request: the launcher has ended.
const unasked = 0;
const invalid = socket.einval;
const sock_destroy = 21;
/// NFNLGRP_…, RTNLGRP_…: links, addresses, routes and rules of both families.
const group = struct {
    const nftables = 7;
    const routes = [_]u32{ 1, 5, 7, 8, 9, 11, 19 };
};
