/** The suggested mesh ranges hold the pod's addresses, and no more of other networks than before. */
import { expect, test } from "bun:test";
import fc from "fast-check";

import { defaultPolicy } from "../../../src/config.ts";
import { parseHost } from "../../../src/net/address.ts";
import { addressOf, parseCidr, type Cidr } from "../../../src/net/cidr.ts";
import type { OwnAddress } from "../../../src/net/own-addresses.ts";
import { coverageText, uncovered } from "../../../src/policy/coverage.ts";
import { contains, defaultMeshRanges, type Policy } from "../../../src/policy/policy.ts";

const four = fc.oneof(
  fc.ipV4(),
  fc.nat(0xffffff).map((low) => `10.${low >> 16}.${(low >> 8) & 255}.${low & 255}`),
  fc.nat(0xffff).map((low) => `192.168.${low >> 8}.${low & 255}`),
);
const six = fc.oneof(
  fc.nat(0xffff).map((low) => `fd00:1:2:${low.toString(16)}::1`),
  fc.nat(0xffff).map((low) => `2001:db8:7:${low.toString(16)}::9`),
);
const address4 = fc.tuple(four, fc.integer({ min: 8, max: 32 }));
const address6 = fc.tuple(six, fc.integer({ min: 16, max: 128 }));
const owns = fc.array(
  fc.oneof(address4, address6).map(([text, prefix]): OwnAddress => {
    const bytes = parseHost(text);
    return { bytes, family: bytes.length === 4 ? 4 : 6, prefix, interface: "eth0" };
  }),
  { minLength: 1, maxLength: 4 },
);
const mesh = fc.array(
  fc.oneof(address4, address6).map(([text, prefix]) => parseCidr(`${text}/${prefix}`)),
  { minLength: 1, maxLength: 3 },
);
const whole = fc.boolean();

function policyOf(value: readonly Cidr[]): Policy {
  const { outbound } = defaultPolicy;
  return { ...defaultPolicy, outbound: { ...outbound, mesh: { value, origin: "--mesh-cidr" } } };
}

function rangesOf(option: string): readonly Cidr[] {
  return option
    .split(",")
    .flatMap((one) => (one === "default" ? defaultMeshRanges : [parseCidr(one)]));
}

function isInside(inner: Cidr, outer: readonly Cidr[]): boolean {
  return outer.some(
    ({ family, first, last }) =>
      family === inner.family && first <= inner.first && inner.last <= last,
  );
}

/** The networks that may be suggested for an address. */
function reasons({ bytes, family, prefix }: OwnAddress): readonly Cidr[] {
  const host = bytes.length * 8;
  const text =
    bytes.length === 4 ? bytes.join(".") : bytes.toHex().replaceAll(/(.{4})(?=.)/g, "$1:");
  const block = defaultMeshRanges.filter((range) => contains(range, addressOf(bytes), family));
  if (block.length === 0) return [parseCidr(`${text}/${Math.min(prefix, family === 4 ? 16 : 48)}`)];
  return prefix < host ? [parseCidr(`${text}/${prefix}`)] : block;
}

test("the suggested option covers all addresses, keeps the ranges, and adds only the addresses' own networks", () => {
  fc.assert(
    fc.property(owns, mesh, whole, (addresses, ranges, withDefault) => {
      const before = [...(withDefault ? defaultMeshRanges : []), ...ranges];
      const found = uncovered(policyOf(before), addresses);
      if (found.length === 0) return;
      const text = coverageText(policyOf(before), found);
      const [, option = ""] = /--mesh-cidr (\S+)/.exec(text) ?? [];
      const after = rangesOf(option);
      expect(uncovered(policyOf(after), addresses)).toEqual([]);
      for (const range of before) expect(isInside(range, after)).toBeTrue();
      const allowed = [...before, ...found.flatMap(({ own }) => reasons(own))];
      for (const range of after) expect(isInside(range, allowed)).toBeTrue();
      expect(option.split(",").includes("default")).toBe(withDefault);
    }),
    { numRuns: 2000 },
  );
});
