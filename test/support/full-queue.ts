/** A program that listens and never accepts, with room for one connection: `bun full-queue.ts PORT`. */
import * as native from "../../src/native/native.ts";
import { encodeSocketAddress, parseSocketAddress } from "../../src/net/address.ts";

const fd = native.openStream(native.addressFamily.inet6);
native.bind(fd, encodeSocketAddress(parseSocketAddress(`[::]:${process.argv[2] ?? ""}`)));
native.listen(fd, 0);
console.log("serving");
setInterval(() => undefined, 1e9);
