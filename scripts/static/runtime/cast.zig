//! dynamic_cast, from the type information that compilers emit: Itanium C++ ABI, 2.9.5.
const std = @import("std");

extern fn strcmp(a: [*:0]const u8, b: [*:0]const u8) c_int;

/// Virtual tables of the kinds of type information. They are in Bun's executable; only their addresses matter.
extern var _ZTVN10__cxxabiv120__si_class_type_infoE: [11]usize;
extern var _ZTVN10__cxxabiv121__vmi_class_type_infoE: [11]usize;

const TypeInfo = extern struct { table: usize, name: [*:0]const u8 };
/// A class with one public non-virtual base.
const SingleInfo = extern struct { head: TypeInfo, base: *const TypeInfo };
/// A class with bases of any kind; `bases` has `count` entries.
const MultipleInfo = extern struct { head: TypeInfo, flags: u32, count: u32, bases: [1]Base };
const Base = extern struct { info: *const TypeInfo, offset_flags: i64 };

const virtual_base: i64 = 1;
const public_base: i64 = 2;
const offset_shift = 8;

/// The subobject of type `wanted`, or 0: a base, a derived class, or a sibling.
export fn __dynamic_cast(object: usize, _: *const TypeInfo, wanted: *const TypeInfo, _: isize) usize {
    const whole = whole_of(object);
    return find(whole.info, whole.address, wanted) orelse 0;
}

const Whole = struct { address: usize, info: *const TypeInfo };

/// Before a virtual table's functions are the offset to the whole object, and its type.
fn whole_of(object: usize) Whole {
    const table = read(usize, object);
    const way = read(isize, table - 2 * @sizeOf(usize));
    return .{ .address = moved(object, way), .info = @ptrFromInt(read(usize, table - @sizeOf(usize))) };
}

/// Searches public bases; returns the first match.
fn find(info: *const TypeInfo, object: usize, wanted: *const TypeInfo) ?usize {
    if (is_same(info, wanted)) return object;
    if (info.table == table_of(&_ZTVN10__cxxabiv120__si_class_type_infoE)) {
        const single: *const SingleInfo = @ptrCast(@alignCast(info));
        return find(single.base, object, wanted);
    }
    if (info.table != table_of(&_ZTVN10__cxxabiv121__vmi_class_type_infoE)) return null;
    const multiple: *const MultipleInfo = @ptrCast(@alignCast(info));
    const bases: [*]const Base = &multiple.bases;
    for (bases[0..multiple.count]) |base| {
        if (base.offset_flags & public_base == 0) continue;
        if (find(base.info, moved(object, way_to(base, object)), wanted)) |found| return found;
    }
    return null;
}

/// The offset to a virtual base is in the object's own virtual table.
fn way_to(base: Base, object: usize) isize {
    const offset: isize = base.offset_flags >> offset_shift;
    if (base.offset_flags & virtual_base == 0) return offset;
    return read(isize, moved(read(usize, object), offset));
}

/// A name that starts with an asterisk is compared by address only.
fn is_same(a: *const TypeInfo, b: *const TypeInfo) bool {
    return a == b or (a.name[0] != '*' and strcmp(a.name, b.name) == 0);
}

/// An object's type table: the third word of its virtual table.
fn table_of(of: *const [11]usize) usize {
    return @intFromPtr(of) + 2 * @sizeOf(usize);
}

fn read(comptime T: type, address: usize) T {
    return @as(*const T, @ptrFromInt(address)).*;
}

fn moved(address: usize, by: isize) usize {
    return address +% @as(usize, @bitCast(by));
}
