import { expect, test } from "bun:test";

import {
  decodeSocketAddress,
  encodeSocketAddress,
  formatSocketAddress,
  parseSocketAddress,
} from "../../../src/net/address.ts";
import * as native from "../../../src/native/native.ts";

test.each([
  ["127.0.0.1:0", native.addressFamily.inet],
  ["[::1]:0", native.addressFamily.inet6],
] as const)("a socket bound to %s reports its address", (text, family) => {
  const fd = native.openStream(family);
  try {
    native.setReuseAddress(fd);
    native.bind(fd, encodeSocketAddress(parseSocketAddress(text)));
    native.listen(fd, 16);
    const flat = new Uint8Array(native.addressSize);
    native.readLocalAddress(fd, flat);
    const local = decodeSocketAddress(flat);
    expect(local.port).toBeGreaterThan(0);
    expect(formatSocketAddress(local)).toBe(text.replace(/0$/, String(local.port)));
  } finally {
    native.close(fd);
  }
});

test("a failed call names the call and the error", () => {
  expect(() => native.close(-1)).toThrow("close: EBADF");
  expect(() => native.setTransparent(-1, native.addressFamily.inet)).toThrow(
    "setsockopt(IP_TRANSPARENT): EBADF",
  );
});
