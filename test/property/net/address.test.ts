import { expect, test } from "bun:test";
import fc from "fast-check";

import { ProxyError } from "../../../src/runtime/errors.ts";
import {
  decodeSocketAddress,
  encodeSocketAddress,
  formatIp,
  formatSocketAddress,
  parseHost,
  parseSocketAddress,
} from "../../../src/net/address.ts";
import { parseCidr } from "../../../src/net/cidr.ts";

const port = fc.integer({ min: 0, max: 65_535 });
const four = fc.uint8Array({ minLength: 4, maxLength: 4 });
const six = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .filter((bytes) => bytes.subarray(0, 10).some((byte) => byte !== 0));

test("an address is the same as text, as a value and as bytes", () => {
  fc.assert(
    fc.property(fc.oneof(four, six), port, (bytes, of) => {
      const host = formatIp(bytes);
      expect(parseHost(host)).toEqual(bytes);
      const text = bytes.length === 4 ? `${host}:${of}` : `[${host}]:${of}`;
      const address = parseSocketAddress(text);
      expect(address.bytes).toEqual(bytes);
      expect(decodeSocketAddress(encodeSocketAddress(address))).toEqual(address);
      expect(formatSocketAddress(address)).toBe(text);
    }),
  );
});

test.each([
  ["address", parseSocketAddress],
  ["range", parseCidr],
] as const)("any text is an %s or refused", (_, parse) => {
  const likely = fc.string({
    unit: fc.constantFrom(..."0123456789abcdef.:/[]%x ".split("")),
    maxLength: 30,
  });
  fc.assert(
    fc.property(fc.oneof(fc.string(), likely), (text) => {
      try {
        parse(text);
      } catch (error) {
        expect(error).toBeInstanceOf(ProxyError);
      }
    }),
    { numRuns: 2000 },
  );
});

test("any flat bytes are an address or refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 32 }), (bytes) => {
      try {
        decodeSocketAddress(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(ProxyError);
      }
    }),
  );
});
