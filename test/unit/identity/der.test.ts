/** Object identifiers as certificates have them, including those too large for a number. */
import { expect, test } from "bun:test";

import { ProxyError } from "../../../src/runtime/errors.ts";
import { oidOf, readDer } from "../../../src/identity/der.ts";

const oid = (hex: string): string => oidOf(readDer(Uint8Array.fromHex(hex)));

test("an identifier is read in dotted form", () => {
  expect(oid("0603551d11")).toBe("2.5.29.17");
});

test("a UUID identifier (X.667), with a part too large for a number, is distinct", () => {
  const first = oid("06126983ffffffffffffffffffffffffffffff7f");
  expect(first).not.toBe(oid("06126983ffffffffffffffffffffffffffffff7e"));
  expect(first).not.toContain(".");
});

test("a truncated identifier is invalid", () => {
  expect(() => oid("0600")).toThrow(ProxyError);
});
