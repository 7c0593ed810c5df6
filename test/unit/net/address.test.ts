import { describe, expect, test } from "bun:test";

import {
  decodeSocketAddress,
  encodeSocketAddress,
  formatSocketAddress,
  isLoopback,
  parseSocketAddress,
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

  test("loopback is told from the rest in both families", () => {
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
