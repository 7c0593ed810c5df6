/**
 * Runs in a pod: connects to END:PORT by way of WAY, and prints the result or the kernel's error. Uses a routing
 * header for IPv6 (RFC 8754) and source routing for IPv4 (RFC 791): `bun steered.ts WAY END:PORT`.
 */
import { dlopen } from "bun:ffi";

import { encodeSocketAddress, parseHost, parseSocketAddress } from "../../src/net/address.ts";
import * as native from "../../src/native/native.ts";

const { symbols: libc } = dlopen("libc.so.6", {
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
});
const [way = "", end = ""] = process.argv.slice(2);
const via = parseHost(way);
const to = parseSocketAddress(end);
const fd = native.openStream(
  to.family === 4 ? native.addressFamily.inet : native.addressFamily.inet6,
);
/**
 * The last segment comes first; IPv4's option is padded in front. IPPROTO_IPV6, IPV6_RTHDR; IPPROTO_IP, IP_OPTIONS.
 */
const option =
  to.family === 6
    ? Buffer.concat([Buffer.of(0, 4, 4, 1, 1, 0, 0, 0), to.bytes, via])
    : Buffer.concat([Buffer.of(1, 131, 7, 4), via]);
const [level, name] = to.family === 6 ? [41, 57] : [0, 4];
if (libc.setsockopt(fd, level, name, option, option.length) < 0) throw new Error("setsockopt");
native.beginConnect(fd, encodeSocketAddress(to));
await Bun.sleep(500);
console.log(native.tcpState(fd));
