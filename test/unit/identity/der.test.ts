/** Identifiers as certificates have them, those that no number holds included. */
import { expect, test } from "bun:test";

import { ProxyError } from "../../../src/runtime/errors.ts";
import { oidOf, readDer } from "../../../src/identity/der.ts";

const oid = (hex: string): string => oidOf(readDer(Uint8Array.fromHex(hex)));

test("an identifier is read in its dotted form", () => {
  expect(oid("0603551d11")).toBe("2.5.29.17");
});

test("one of a UUID (X.667), with a part that no number holds, is one of its own", () => {
  const first = oid("06126983ffffffffffffffffffffffffffffff7f");
  expect(first).not.toBe(oid("06126983ffffffffffffffffffffffffffffff7e"));
  expect(first).not.toContain(".");
});

test("one that is cut is none", () => {
  expect(() => oid("0600")).toThrow(ProxyError);
});
