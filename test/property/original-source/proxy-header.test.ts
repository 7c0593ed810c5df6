/** The header that proxies exchange is read back as written, and nothing that a peer sends does harm. */
import { expect, test } from "bun:test";
import fc from "fast-check";

import { ProxyError } from "../../../src/runtime/errors.ts";
import { formatSocketAddress, parseSocketAddress } from "../../../src/net/address.ts";
import {
  decodeHeader,
  encodeHeader,
  headerBytesMax,
  headerLength,
} from "../../../src/original-source/proxy-header.ts";

const port = fc.integer({ min: 0, max: 65_535 });
const ipv4 = fc.tuple(fc.ipV4(), port).map(([host, of]) => parseSocketAddress(`${host}:${of}`));
const ipv6 = fc
  .tuple(fc.array(fc.integer({ min: 1, max: 0xff_ff }), { minLength: 8, maxLength: 8 }), port)
  .map(([words, of]) => {
    const host = words.map((word) => word.toString(16)).join(":");
    return parseSocketAddress(`[${host}]:${of}`);
  });
const pair = fc.oneof(fc.tuple(ipv4, ipv4), fc.tuple(ipv6, ipv6));

test("what is encoded is decoded, and its length is known from any prefix", () => {
  fc.assert(
    fc.property(pair, fc.boolean(), ([source, destination], distinctPort) => {
      const bytes = encodeHeader({ source, distinctPort }, destination);
      const clientAddress = decodeHeader(bytes);
      expect(clientAddress === null ? "" : formatSocketAddress(clientAddress.source)).toBe(
        formatSocketAddress(source),
      );
      expect(clientAddress?.distinctPort).toBe(distinctPort);
      for (let cut = 0; cut <= bytes.length; cut += 1)
        expect(headerLength(bytes.subarray(0, cut))).toBe(cut < 16 ? 16 : bytes.length);
    }),
  );
});

test("any bytes have a bounded length, and are decoded or refused with a ProxyError", () => {
  const signature = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10);
  const any = fc
    .tuple(fc.boolean(), fc.uint8Array({ maxLength: 600 }))
    .map(([signed, bytes]) => (signed ? Uint8Array.of(...signature, ...bytes) : bytes));
  fc.assert(
    fc.property(any, (bytes) => {
      try {
        const length = headerLength(bytes);
        expect(length).toBeLessThanOrEqual(headerBytesMax);
        if (bytes.length >= length) decodeHeader(bytes.subarray(0, length));
      } catch (error) {
        expect(error).toBeInstanceOf(ProxyError);
      }
    }),
  );
});

test("it is PROXY protocol version 2, byte for byte", () => {
  const source = parseSocketAddress("10.0.0.1:40000");
  const bytes = encodeHeader({ source, distinctPort: true }, parseSocketAddress("10.0.0.2:80"));
  expect(bytes.toHex()).toBe(
    "0d0a0d0a000d0a515549540a" +
      "21" +
      "11" +
      "0010" +
      "0a000001" +
      "0a000002" +
      "9c40" +
      "0050" +
      "e0000101",
  );
});

test("a proxy that connects for itself sends no address", () => {
  expect(decodeHeader(Uint8Array.fromHex("0d0a0d0a000d0a515549540a20000000"))).toBeNull();
});
