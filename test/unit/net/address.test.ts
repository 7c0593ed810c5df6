import { describe, expect, test } from "bun:test";

import {
  addressKey,
  decodeSocketAddress,
  encodeSocketAddress,
  formatSocketAddress,
  hostKey,
  isLoopback,
  parseSocketAddress,
  sourceKey,
} from "../../../src/net/address.ts";

describe("socket address", () => {
  test.each(["10.0.0.1:80", "[fd00::1]:443", "0.0.0.0:0", "[::]:65535"])(
    "%s reads back",
    (text) => {
      const address = parseSocketAddress(text);
      expect(formatSocketAddress(address)).toBe(text);
      expect(decodeSocketAddress(encodeSocketAddress(address))).toEqual(address);
    },
  );

  test.each([
    "010.0.0.1:80",
    "10.1:80",
    "10.0.0.1",
    "10.0.0.1:65536",
    "[10.0.0.1]:1",
    "fd00::1:80",
    "[fe80::1%2]:1",
    "",
  ])("%p is refused", (text) => {
    expect(() => parseSocketAddress(text)).toThrow("not a socket address");
  });

  test("an IPv4-mapped address becomes IPv4", () => {
    const mapped = encodeSocketAddress(parseSocketAddress("[::ffff:10.0.0.1]:80"));
    expect(formatSocketAddress(decodeSocketAddress(mapped))).toBe("10.0.0.1:80");
  });

  test("loopback is recognised in both families", () => {
    const texts = ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "10.0.0.1:1", "[::]:1", "[fd00::1]:1"];
    expect(texts.map((text) => isLoopback(parseSocketAddress(text)))).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
  });
});

test.each([
  ["10.1.2.3:4", "10.1.2.3:5", "10.1.2.4:4"],
  ["[fd00:1:2:3:4:5:6:7]:4", "[fd00:1:2:3:4:5:6:7]:5", "[fd00:1:2:3:4:5:6:8]:4"],
])("keys of %s: the same for another port of its host, not for another host", (one, port, host) => {
  const [a, b, c] = [one, port, host].map(parseSocketAddress);
  if (a === undefined || b === undefined || c === undefined) throw new Error("no address");
  expect(hostKey(a)).toBe(String.fromCharCode(...a.bytes));
  expect(hostKey(a)).toBe(hostKey(b));
  expect(hostKey(a)).not.toBe(hostKey(c));
  expect(new Set([a, b, c].map(addressKey)).size).toBe(3);
});

test("a source is an IPv4 address, or the first half of an IPv6 address", () => {
  const keys = ["10.1.2.3:1", "10.1.2.4:1", "[fd00::1]:1", "[fd00::2]:1", "[fd00:0:0:1::1]:1"]
    .map(parseSocketAddress)
    .map(sourceKey);
  expect(new Set(keys).size).toBe(4);
  expect(keys[2]).toBe(keys[3] ?? "");
});
