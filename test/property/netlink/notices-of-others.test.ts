/** Any kernel message about other rules or traced packets is read without a crash. */
import { expect, test } from "bun:test";
import fc from "fast-check";

import { ProxyError } from "../../../src/runtime/errors.ts";
import { parseCidr } from "../../../src/net/cidr.ts";
import { readForeignRule } from "../../../src/netlink/foreign-rules.ts";
import { readVerdicts } from "../../../src/netlink/trace.ts";
import {
  attribute,
  be16,
  be32,
  concat,
  message,
  nested,
  text,
  u8,
} from "../../../src/netlink/wire.ts";

const header = (family: number): Uint8Array => concat(u8(family), u8(0), be16(0));
const expression = (name: string, ...of: readonly Uint8Array[]): Uint8Array =>
  nested(1, attribute(1, text(name)), nested(2, ...of));
const value = (type: number, bytes: Uint8Array): Uint8Array => nested(type, attribute(1, bytes));
const handle = attribute(3, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 7));

test("a rule like Tailscale's is described in words", () => {
  const payload = concat(
    header(2),
    attribute(1, text("filter")),
    attribute(2, text("ts-input")),
    handle,
    nested(
      4,
      expression("meta", attribute(2, be32(6)), attribute(1, be32(1))),
      expression("cmp", attribute(1, be32(1)), attribute(2, be32(1)), value(3, text("tailscale0"))),
      expression(
        "payload",
        attribute(1, be32(1)),
        attribute(2, be32(1)),
        attribute(3, be32(12)),
        attribute(4, be32(4)),
      ),
      expression(
        "bitwise",
        attribute(3, be32(4)),
        value(4, Uint8Array.of(255, 192, 0, 0)),
        value(5, new Uint8Array(4)),
      ),
      expression(
        "cmp",
        attribute(1, be32(1)),
        attribute(2, be32(0)),
        value(3, Uint8Array.of(100, 64, 0, 0)),
      ),
      expression("counter"),
      expression("immediate", attribute(1, be32(0)), nested(2, nested(2, attribute(1, be32(0))))),
    ),
  );
  expect(readForeignRule(payload)).toEqual({
    table: "ip filter",
    chain: "ts-input",
    handle: 7,
    text: 'iifname != "tailscale0" ip saddr 100.64.0.0/10 drop',
    ranges: [parseCidr("100.64.0.0/10")],
  });
});

const notice = (code: number, kind: number): Uint8Array =>
  message(
    { type: (10 << 8) | 17, flags: 0 },
    1,
    header(1),
    attribute(1, text("own")),
    attribute(2, text("IN")),
    handle,
    attribute(4, be32(kind)),
    nested(5, attribute(1, be32(code))),
    attribute(16, be32(0)),
  );

test("a drop verdict is distinguished from others", () => {
  const of = { table: "inet own", chain: "IN" };
  expect(readVerdicts(notice(0, 3))).toEqual([{ ...of, handle: 7, isDrop: true }]);
  expect(readVerdicts(notice(1, 3))).toEqual([{ ...of, handle: 7, isDrop: false }]);
  expect(readVerdicts(notice(0, 1))).toEqual([{ ...of, handle: null, isDrop: true }]);
  expect(readVerdicts(notice(0, 2))).toEqual([]);
});

test.each([
  ["rules", (bytes: Uint8Array) => void readForeignRule(bytes)],
  ["verdicts", (bytes: Uint8Array) => void readVerdicts(bytes)],
])("any bytes are read as %s or refused as NETLINK_INVALID", (_, read) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      try {
        read(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(ProxyError);
      }
    }),
  );
});
