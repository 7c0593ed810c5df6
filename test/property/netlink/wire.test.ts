import { expect, test } from "bun:test";
import fc from "fast-check";

import { ProxyError } from "../../../src/runtime/errors.ts";
import { readMarkingRule } from "../../../src/netlink/foreign-marks.ts";
import { readElements } from "../../../src/netlink/nftables.ts";
import {
  attribute,
  concat,
  message,
  readAttributes,
  readMessages,
} from "../../../src/netlink/wire.ts";

const payload = fc.uint8Array({ maxLength: 40 });
const u16 = fc.integer({ min: 0, max: 0xff_ff });
const u32 = fc.integer({ min: 0, max: 0xff_ff_ff_ff });

test("attributes are read back as written", () => {
  const list = fc.array(fc.tuple(fc.integer({ min: 0, max: 0x3f_ff }), payload));
  fc.assert(
    fc.property(list, (attributes) => {
      const bytes = concat(...attributes.map(([type, body]) => attribute(type, body)));
      expect(bytes.length % 4).toBe(0);
      expect(readAttributes(bytes)).toEqual(attributes);
    }),
  );
});

test("messages are read back as written", () => {
  const list = fc.array(fc.record({ type: u16, flags: u16, sequence: u32, payload }));
  fc.assert(
    fc.property(list, (messages) => {
      const bytes = concat(
        ...messages.map((one) =>
          message({ type: one.type, flags: one.flags }, one.sequence, one.payload),
        ),
      );
      expect(readMessages(bytes)).toEqual(messages.map((one) => ({ ...one, port: 0 })));
    }),
  );
});

test.each([
  ["messages", readMessages],
  ["attributes", readAttributes],
  ["elements", readElements],
  ["rules of others", readMarkingRule],
] as const)("arbitrary bytes are read as %s or refused", (_, read) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        read(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(ProxyError);
      }
    }),
    { numRuns: 2000 },
  );
});
