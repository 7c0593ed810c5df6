/**
 * Forges a source address: `bun impostor.ts SOURCE DESTINATION`, both like 10.0.0.1:80. Starts a connection from a
 * transparent socket, and prints its state a moment later.
 */
import * as native from "../../src/native/native.ts";
import { encodeSocketAddress, parseSocketAddress } from "../../src/net/address.ts";

const [, , source = "", destination = ""] = process.argv;
const from = parseSocketAddress(source);
const family = from.family === 4 ? native.addressFamily.inet : native.addressFamily.inet6;
const fd = native.openStream(family);
native.setTransparent(fd, family);
native.setReuseAddress(fd);
native.bind(fd, encodeSocketAddress(from));
native.beginConnect(fd, encodeSocketAddress(parseSocketAddress(destination)));
// An answer that goes elsewhere cannot be seen; one that arrives takes a fraction of a millisecond here.
await Bun.sleep(300);
console.log(native.tcpState(fd));
