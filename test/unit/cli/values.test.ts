import { expect, test } from "bun:test";

import * as values from "../../../src/cli/values.ts";
import { formatSocketAddress } from "../../../src/net/address.ts";

test.each(["0", "65536", "-1", "1e3", "", " 80", "0x50", "80.0", "99999999999"])(
  "%p is not a port",
  (text) => {
    expect(() => values.port(text)).toThrow("It must be a port, 1 to 65535.");
  },
);

test("comma-separated and repeated values are combined", () => {
  const parse = values.list(values.port);
  expect(parse("80, 81", undefined)).toEqual([80, 81]);
  expect(parse("82", undefined)).toEqual([80, 81, 82]);
});

test("an empty item in a list is refused", () => {
  expect(() => values.list(values.port)("80,,81", undefined)).toThrow("It must be a port");
});

test.each([
  ["0xa/0xf", { value: 10, mask: 15 }],
  ["10/15", { value: 10, mask: 15 }],
  ["0x80000000/0xc0000000", { value: 0x80_00_00_00, mask: 0xc0_00_00_00 }],
])("the mark %p", (text, mark) => {
  expect(values.mark(text)).toEqual(mark);
});

test.each(["0/0xf", "0xf/0xf", "0x10/0xf", "0xa", "10/15/3", "0xa/0x1ffffffff", "a/f", ""])(
  "%p is not a mark",
  (text) => {
    expect(() => values.mark(text)).toThrow("It must be value/mask");
  },
);

test.each([
  [":15020", "[::]:15020"],
  ["127.0.0.1:80", "127.0.0.1:80"],
  ["[::1]:80", "[::1]:80"],
])("the status address %p is %p", (text, meant) => {
  expect(formatSocketAddress(values.statusAddress(text))).toBe(meant);
});

test.each([":0", "15020", "localhost:80", ":70000", ""])("%p is not a status address", (text) => {
  expect(() => values.statusAddress(text)).toThrow("It must be");
});

test.each([
  ["--mesh-cidr", values.meshRanges, "10.0.0.0/8", "ranges"],
  ["--inbound-port", values.portsOrNone, "80", "ports"],
] as const)("%s accepts none or a list, in any order", (_, make, item, what) => {
  for (const texts of [
    ["none", item],
    [item, "none"],
  ]) {
    const parse = make();
    const said = (): unknown =>
      texts.reduce<unknown>((before, text) => parse(text, before), undefined);
    expect(said).toThrow(`It must be either none or ${what}, not both.`);
  }
  const parse = make();
  expect(parse("none", parse("none", undefined))).toEqual(make()("none", undefined));
});
