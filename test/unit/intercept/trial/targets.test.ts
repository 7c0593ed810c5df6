/** The destinations of trial connections. */
import { expect, test } from "bun:test";

import { defaultFixed, defaultPolicy } from "../../../../src/config.ts";
import { trialTargets, type KnownAddresses } from "../../../../src/intercept/trial/targets.ts";
import { formatSocketAddress, parseHost, parseSocketAddress } from "../../../../src/net/address.ts";
import { parseCidr } from "../../../../src/net/cidr.ts";
import { parsePolicy } from "../../../../src/policy/document.ts";
import { effectivePolicy } from "../../../../src/policy/effective.ts";

const nothing: KnownAddresses = { locals: [], named: [] };

function targets(
  policy: string,
  known: KnownAddresses = nothing,
  fixed = defaultFixed,
): readonly string[] {
  const of = effectivePolicy(defaultPolicy, parsePolicy(policy, "p.yaml"));
  return trialTargets(of, fixed, known).map(
    ({ range, address }) => `${range.text} ${formatSocketAddress(address)}`,
  );
}

const local = (address: string, network: string): KnownAddresses["locals"][number] => ({
  address: parseHost(address),
  network: parseCidr(network),
});

test("each range of the mesh has one, in both families", () => {
  expect(targets('outbound: { mesh: ["10.0.0.0/8", "fd00::/8"] }')).toEqual([
    "10.0.0.0/8 10.255.255.254:443",
    "fd00::/8 [fdff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:443",
  ]);
});

test("none is on loopback, which is never diverted", () => {
  expect(targets('outbound: { mesh: ["0.0.0.0/0", "::/0"] }')).toEqual([
    "0.0.0.0/0 255.255.255.254:443",
    "::/0 [::2]:443",
  ]);
});

test("the pod's own networks within the mesh, and no others, have one; never the pod itself", () => {
  const locals = [
    local("10.1.2.254", "10.1.2.0/24"),
    local("203.0.113.1", "203.0.113.0/24"),
    local("10.9.9.9", "10.9.9.9/32"),
  ];
  expect(targets("outbound: { mesh: [10.0.0.0/8] }", { locals, named: [] })).toEqual([
    "10.0.0.0/8 10.255.255.254:443",
    "10.1.2.0/24 10.1.2.253:443",
  ]);
});

test("destinations named in other rules have one each", () => {
  const named = ["10.2.0.5", "10.2.0.5", "192.0.2.1", "10.3.0.0/24"].map(parseCidr);
  expect(targets("outbound: { mesh: [10.0.0.0/8] }", { locals: [], named })).toEqual([
    "10.0.0.0/8 10.255.255.254:443",
    "10.2.0.5/32 10.2.0.5:443",
    "10.3.0.0/24 10.3.0.254:443",
  ]);
  const many = Array.from({ length: 1000 }, (_, at) => parseCidr(`10.3.${at >> 8}.${at & 255}`));
  expect(targets("{}", { locals: [], named: many }).length).toBe(64);
});

test("excluded destinations are not tried", () => {
  const mesh = 'mesh: ["10.0.0.0/24"]';
  expect(targets(`outbound: { ${mesh}, exclude: ["10.0.0.128/25"] }`)).toEqual([
    "10.0.0.0/24 10.0.0.1:443",
  ]);
  expect(targets(`outbound: { ${mesh}, excludePorts: [443, 80] }`)).toEqual([
    "10.0.0.0/24 10.0.0.254:8443",
  ]);
  expect(targets(`outbound: { ${mesh}, exclude: ["10.0.0.0/24"] }`)).toEqual([]);
  expect(targets(`outbound: { ${mesh}, ports: [5432] }`)).toEqual(["10.0.0.0/24 10.0.0.254:5432"]);
  const excludedDestinations = [parseSocketAddress("10.0.0.254:443")];
  expect(
    targets(`outbound: { ${mesh} }`, nothing, { ...defaultFixed, excludedDestinations }),
  ).toEqual(["10.0.0.0/24 10.0.0.253:443"]);
});

test("a single address in the mesh is tried itself", () => {
  expect(targets('outbound: { mesh: ["10.0.0.7/32"] }')).toEqual(["10.0.0.7/32 10.0.0.7:443"]);
});
