/** Which of a pod's addresses are outside the mesh, and the option that remedies it. */
import { describe, expect, test } from "bun:test";

import { defaultPolicy } from "../../../src/config.ts";
import { parseHost, parseSocketAddress } from "../../../src/net/address.ts";
import { parseCidr } from "../../../src/net/cidr.ts";
import { ownAddresses, type Listed, type OwnAddress } from "../../../src/net/own-addresses.ts";
import { assertCovered, servicesText, uncovered } from "../../../src/policy/coverage.ts";
import { parsePolicy } from "../../../src/policy/document.ts";
import { effectivePolicy } from "../../../src/policy/effective.ts";
import { defaultMeshRanges, type Policy } from "../../../src/policy/policy.ts";

const own = (...texts: readonly string[]): readonly OwnAddress[] =>
  texts.map((text) => {
    const [host = "", prefix] = text.split("/");
    const bytes = parseHost(host);
    const family = bytes.length === 4 ? 4 : 6;
    return { bytes, family, prefix: Number(prefix ?? 8 * bytes.length), interface: "eth0" };
  });

function ranges(text: string): Policy["outbound"]["mesh"]["value"] {
  return text
    .split(",")
    .filter(Boolean)
    .flatMap((one) => (one === "default" ? defaultMeshRanges : [parseCidr(one)]));
}

function policyOf(mesh: string | null, exclude = "", origin = "--mesh-cidr"): Policy {
  const { outbound } = defaultPolicy;
  return {
    ...defaultPolicy,
    outbound: {
      ...outbound,
      mesh: mesh === null ? outbound.mesh : { value: ranges(mesh), origin },
      exclude: { value: ranges(exclude), origin: "--exclude-cidr" },
    },
  };
}

function refusalOf(policy: Policy, ...texts: readonly string[]): string {
  try {
    assertCovered(policy, own(...texts));
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

describe("the mesh covers the pod", () => {
  test.each([
    ["by default", null, "", ["10.1.2.3", "fd00::1"]],
    ["a carrier's range", null, "", ["100.64.0.9"]],
    ["no address at all", null, "", []],
    ["link-local addresses do not count", null, "", ["10.1.2.3", "fe80::1", "169.254.9.9"]],
    ["one covered address per family is enough", null, "", ["10.1.2.3", "203.0.113.9"]],
    ["explicit exclusions are intended", "fd00::/8", "0.0.0.0/0", ["10.1.2.3", "fd00::1"]],
    ["none is intended too", "", "", ["10.1.2.3", "2001:db8::1"]],
    ["extended", "default,2001:db8::/32", "", ["10.1.2.3", "2001:db8::1"]],
  ] as const)("%s", (_, mesh, exclude, addresses) => {
    expect(refusalOf(policyOf(mesh, exclude), ...addresses)).toBe("");
  });
});

describe("each family is judged separately, and the exact option is named", () => {
  test.each([
    [
      "public IPv6",
      null,
      ["10.1.2.3", "2001:db8:7:1::9/128"],
      "--mesh-cidr default,2001:db8:7::/48 ",
    ],
    ["a cloud's range", null, ["34.118.9.2/32"], "--mesh-cidr default,34.118.0.0/16 "],
    [
      "the interface's own prefix if it is wider",
      null,
      ["2001:db8:7:1::9/32"],
      "--mesh-cidr default,2001:db8::/32 ",
    ],
    [
      "both families",
      null,
      ["34.118.9.2", "2001:db8:7:1::9"],
      "--mesh-cidr default,34.118.0.0/16,2001:db8:7::/48 ",
    ],
    [
      "replaced instead of extended",
      "2001:db8::/32",
      ["10.1.2.3", "2001:db8::1"],
      "--mesh-cidr 2001:db8::/32,10.0.0.0/8 ",
    ],
    ["explicit ranges", "10.0.0.0/8", ["11.1.2.3"], "--mesh-cidr 10.0.0.0/8,11.1.0.0/16 "],
    ["a peer alone, in our network", "10.8.0.2/32", ["10.8.0.1/24"], "--mesh-cidr 10.8.0.0/24 "],
    [
      "a peer alone, beside a single address",
      "10.8.0.2/32",
      ["10.8.0.1/32"],
      "--mesh-cidr 10.0.0.0/8 ",
    ],
    [
      "a peer elsewhere",
      "172.20.0.2/32",
      ["10.8.0.1/24"],
      "--mesh-cidr 172.20.0.2/32,10.8.0.0/24 ",
    ],
    [
      "one family does not follow from the other",
      "10.8.0.2/32,fd00::2/128",
      ["10.8.0.1/24", "fd00::1/128"],
      "--mesh-cidr 10.8.0.0/24,fc00::/7 ",
    ],
    ["a carrier's range", "10.0.0.0/8", ["100.64.3.1/32"], "--mesh-cidr 10.0.0.0/8,100.64.0.0/10 "],
    ["a public network", "10.0.0.0/8", ["34.1.2.3/20"], "--mesh-cidr 10.0.0.0/8,34.1.0.0/16 "],
  ] as const)("%s", (_, mesh, addresses, option) => {
    expect(refusalOf(policyOf(mesh), ...addresses)).toContain(option);
  });

  test("if a variable or file set the value, the remedy is written in the same form", () => {
    const text = refusalOf(policyOf("default", "", "TPROXY_MESH_CIDR"), "2001:db8::1");
    expect(text).toContain("TPROXY_MESH_CIDR=default,2001:db8::/48 ");
    const written = refusalOf(policyOf("default", "", "p.yaml:3"), "2001:db8::1");
    expect(written).toContain("(p.yaml:3)");
    expect(written).toContain('outbound.mesh: [default, "2001:db8::/48"] ');
  });

  test("there is exactly one remedy", () => {
    for (const addresses of [
      ["203.0.113.7"],
      ["2001:db8::7", "203.0.113.7"],
      ["10.0.0.1", "::ffff"],
    ]) {
      const [, option = ""] =
        /--mesh-cidr (\S+)/.exec(refusalOf(policyOf("fd00::/8"), ...addresses)) ?? [];
      expect(refusalOf(policyOf(option), ...addresses)).toBe("");
    }
  });

  test("intended cleartext is expressed by another option", () => {
    const text = refusalOf(policyOf(null), "34.118.9.2", "2001:db8::1");
    const [, option = ""] = /--exclude-cidr (\S+)$/.exec(text) ?? [];
    expect(refusalOf(policyOf(null, option), "34.118.9.2", "2001:db8::1")).toBe("");
  });
});

test("an uncovered address beside a covered one is reported, and does not prevent the start", () => {
  const found = uncovered(policyOf(null), own("10.1.2.3", "203.0.113.9"));
  expect(found.map(({ own: { family }, isAlone }) => [family, isAlone])).toEqual([[4, false]]);
});

test("default extends the ranges in a policy file too", () => {
  const text = 'outbound: { mesh: [default, "2001:db8::/32"] }';
  const { outbound } = effectivePolicy(defaultPolicy, parsePolicy(text, "p.yaml"));
  expect(outbound.mesh.value.map((range) => range.text)).toEqual([
    ...defaultMeshRanges.map((range) => range.text),
    "2001:db8::/32",
  ]);
});

function services(policy: Policy, server: string): string | null {
  return servicesText(policy, parseSocketAddress(server));
}

test("Services outside the mesh are reported", () => {
  expect(services(policyOf(null), "10.96.0.1:443")).toBeNull();
  expect(services(policyOf(null), "34.118.224.1:443")).toContain(
    "--mesh-cidr default,34.118.0.0/16",
  );
  expect(services(policyOf(null, "34.118.224.0/20"), "34.118.224.1:443")).toBeNull();
});

function listed(address: string, internal = false): Listed {
  return { address, cidr: `${address}/${address.includes(":") ? 128 : 32}`, internal };
}

test("loopback addresses and the alias do not count as the pod's", () => {
  const found = ownAddresses({
    lo: [listed("127.0.0.1", true), listed("10.9.9.9")],
    eth0: [listed("10.1.2.3"), listed("169.254.77.1"), listed("fd74:7072:6f78:7931::1")],
    eth1: [listed("fe80::1%eth1")],
    gone: undefined,
  });
  expect(found.map((one) => [one.interface, one.family, one.prefix])).toEqual([
    ["eth0", 4, 32],
    ["eth1", 6, 128],
  ]);
});
