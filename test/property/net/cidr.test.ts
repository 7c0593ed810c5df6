import { expect, test } from "bun:test";
import fc from "fast-check";

import { bytesOf, intervalsOf, parseCidr } from "../../../src/net/cidr.ts";
import ipaddr from "ipaddr.js";

const range = fc
  .tuple(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.integer({ min: 0, max: 32 }))
  .map(([bytes, prefix]) => parseCidr(`${[...bytes].join(".")}/${prefix}`));

test("intervals contain exactly the addresses of their ranges", () => {
  fc.assert(
    fc.property(
      fc.array(range, { maxLength: 8 }),
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      (ranges, bytes) => {
        const address = BigInt(`0x${bytes.toHex()}`);
        const inside = ranges.some(({ text }) =>
          ipaddr.parse([...bytes].join(".")).match(ipaddr.parseCIDR(text)),
        );
        expect(
          intervalsOf(ranges, 4).some(({ first, last }) => first <= address && address <= last),
        ).toBe(inside);
      },
    ),
  );
});

test("intervals are sorted and separated by gaps", () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 8 }), (ranges) => {
      const union = intervalsOf(ranges, 4);
      for (const [index, { first }] of union.entries()) {
        const previous = union[index - 1];
        if (previous !== undefined) expect(first > previous.last + 1n).toBe(true);
      }
    }),
  );
});

test("any text is parsed or is an ADDRESS_INVALID", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.ipV4(), fc.ipV6()), (text) => {
      try {
        expect(bytesOf(parseCidr(text).first, parseCidr(text).family).length).toBeGreaterThan(3);
      } catch (error) {
        expect(error).toHaveProperty("code", "ADDRESS_INVALID");
      }
    }),
  );
});
