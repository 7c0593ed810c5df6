//! std::unordered_map's bookkeeping: the number of buckets, and the hash of bytes.
const std = @import("std");

/// std::__detail::_Prime_rehash_policy.
const Policy = extern struct { max_load: f32, next_resize: usize };
/// std::pair<bool, std::size_t>.
const Rehash = extern struct { needed: bool, buckets: usize };

/// A prime number of buckets, at least `wanted`; records how many elements they suffice for.
export fn _ZNKSt8__detail20_Prime_rehash_policy11_M_next_bktEm(policy: *Policy, wanted: usize) usize {
    // A single bucket lies in the container itself, and is not resized here.
    if (wanted == 0) return 1;
    var buckets = @max(wanted, 2);
    while (!is_prime(buckets)) buckets += 1;
    policy.next_resize = capacity(policy, buckets);
    return buckets;
}

/// Whether `inserted` more elements need more buckets, and how many: at least twice as many.
export fn _ZNKSt8__detail20_Prime_rehash_policy14_M_need_rehashEmmm(policy: *Policy, buckets: usize, elements: usize, inserted: usize) Rehash {
    const wanted = elements + inserted;
    if (wanted <= policy.next_resize) return .{ .needed = false, .buckets = 0 };
    // The first allocation has several at once.
    const least = if (policy.next_resize == 0) @max(wanted, first_buckets) else wanted;
    const exact: usize = @intFromFloat(@floor(as_float(least) / policy.max_load));
    if (exact < buckets) {
        policy.next_resize = capacity(policy, buckets);
        return .{ .needed = false, .buckets = 0 };
    }
    const more = @max(exact + 1, buckets * 2);
    return .{ .needed = true, .buckets = _ZNKSt8__detail20_Prime_rehash_policy11_M_next_bktEm(policy, more) };
}

/// std::_Hash_bytes: any good hash will do, because it never leaves the process.
export fn _ZSt11_Hash_bytesPKvmm(bytes: [*]const u8, size: usize, seed: usize) usize {
    return std.hash.Wyhash.hash(seed, bytes[0..size]);
}

fn capacity(policy: *const Policy, buckets: usize) usize {
    return @intFromFloat(@floor(as_float(buckets) * policy.max_load));
}

fn as_float(number: usize) f64 {
    return @floatFromInt(number);
}

fn is_prime(number: usize) bool {
    if (number < 4) return number > 1;
    if (number % 2 == 0) return false;
    var divisor: usize = 3;
    while (divisor * divisor <= number) : (divisor += 2) if (number % divisor == 0) return false;
    return true;
}

const first_buckets = 11;

test "buckets are prime, grow at least twofold and suffice for the elements" {
    var policy: Policy = .{ .max_load = 1, .next_resize = 0 };
    var buckets: usize = 1;
    for (0..100_000) |elements| {
        const rehash = _ZNKSt8__detail20_Prime_rehash_policy14_M_need_rehashEmmm(&policy, buckets, elements, 1);
        if (rehash.needed) {
            try std.testing.expect(is_prime(rehash.buckets));
            try std.testing.expect(rehash.buckets >= 2 * buckets);
            buckets = rehash.buckets;
        }
        try std.testing.expect(elements + 1 <= buckets);
    }
}

test "the hash depends only on the bytes" {
    const same = [_]u8{ 1, 2, 3 };
    const copy = same;
    try std.testing.expectEqual(_ZSt11_Hash_bytesPKvmm(&same, 3, 7), _ZSt11_Hash_bytesPKvmm(&copy, 3, 7));
    try std.testing.expect(_ZSt11_Hash_bytesPKvmm(&same, 3, 7) != _ZSt11_Hash_bytesPKvmm(&same, 2, 7));
}
