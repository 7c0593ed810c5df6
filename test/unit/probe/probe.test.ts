/** Probes as operators declare them, and the resulting rules for each port. */
import { expect, test } from "bun:test";

import {
  isLeftAlone,
  parseProbe,
  probePorts,
  probesOf,
  type Probes,
} from "../../../src/probe/probe.ts";
import { gateways4, gateways6, parseSource } from "../../../src/probe/sources.ts";
import { parseSocketAddress } from "../../../src/net/address.ts";
import { parseCidr } from "../../../src/net/cidr.ts";

test.each([
  ["http:8080/healthz", { kind: "http", port: 8080, path: "/healthz" }],
  ["http:8080", { kind: "http", port: 8080, path: "/" }],
  ["tcp:5432", { kind: "tcp", port: 5432 }],
  ["grpc:9000", { kind: "grpc", port: 9000, service: "" }],
  ["grpc:9000/shop.v1.Cart", { kind: "grpc", port: 9000, service: "shop.v1.Cart" }],
])("%s", (text, probe) => {
  expect(parseProbe(text)).toEqual({ ...probe, text } as never);
});

test.each([
  ["https:8443/healthz", "declare tcp:PORT"],
  ["http:8080/a?b", "it must be like"],
  ["http:8080/a#b", "it must be like"],
  ["http:8080healthz", "it must be like"],
  ["http:8080/a b", "it must be like"],
  ["http:0/", "it must be like"],
  ["http:65536/", "it must be like"],
  ["tcp:80/x", "it must be like"],
  ["grpc:80/", "it must be like"],
  ["exec:80", "it must be like"],
  ["8080", "it must be like"],
  ["", "it must be like"],
])("%j is refused: %s", (text, words) => {
  expect(() => parseProbe(text)).toThrow(words);
});

test.each([
  ["10.0.0.7", "10.0.0.7/32"],
  ["fd00::7", "fd00::7/128"],
  ["10.0.0.0/16", "10.0.0.0/16"],
  ["fd00::/64", "fd00::/64"],
])("the source %s is a valid range", (text, range) => {
  expect(parseSource(text)).toEqual(parseCidr(range));
});

test.each(["0.0.0.0/0", "::/0", "10.0.0.0/8", "10.0.0.0/15", "fd00::/63"])(
  "%s is a network, not a node",
  (text) => {
    expect(() => parseSource(text)).toThrow("is a network, not a node");
  },
);

test("gateways are those of default routes, each once; a route without one adds none", () => {
  const head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n";
  const routes =
    "eth0\t00000000\t0100F40A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n" +
    "eth0\t00000000\t0100F40A\t0003\t0\t0\t9\t00000000\t0\t0\t0\n" +
    "eth1\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n" +
    "eth0\t0000A8C0\t0200F40A\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
  expect(gateways4(head + routes).map(({ text }) => text)).toEqual(["10.244.0.1/32"]);
  const none = "0".repeat(32);
  const next = "fd000000000000000000000000000001";
  const routes6 =
    `${none} 00 ${none} 00 ${next} 00000400 00000002 00000000 00000003     eth0\n` +
    `${none} 00 ${none} 00 ${none} ffffffff 00000001 00000000 00200200       lo\n` +
    `${next} 80 ${none} 00 ${next} 00000400 00000002 00000000 00000003     eth0\n`;
  expect(gateways6(routes6).map(({ text }) => text)).toEqual(["fd00::1/128"]);
  expect([...gateways4(""), ...gateways6("")]).toEqual([]);
});

const declared = ["http:8080/healthz", "tcp:5432", "grpc:9000", "tcp:9000"].map(parseProbe);
const sources = ["10.0.0.7", "fd00::7"].map(parseCidr);
const bypass: Probes = { mode: "bypass", declared, sources };
const inspect: Probes = { mode: "inspect", declared, sources };

test("bypass opens every declared port; inspect reads requests and admits connections", () => {
  expect(probePorts(bypass)).toEqual({
    open: [5432, 8080, 9000],
    read: [],
    connect: [],
    both: [],
  });
  expect(probePorts(inspect)).toEqual({
    open: [],
    read: [8080],
    connect: [5432, 9000],
    both: [9000],
  });
});

test.each([
  ["10.0.0.7:1", 9000, ["grpc:9000", "tcp:9000"]],
  ["[fd00::7]:1", 8080, ["http:8080/healthz"]],
  ["10.0.0.8:1", 8080, []],
  ["[fd00::8]:1", 8080, []],
  ["10.0.0.7:1", 8081, []],
])("from %s at port %d: %j", (from, port, texts) => {
  const found = probesOf(inspect, parseSocketAddress(from), port);
  expect(found.map(({ text }) => text)).toEqual([...texts]);
});

test.each([
  ["bypass", "10.0.0.7:1", 8080, true],
  ["bypass", "10.0.0.8:1", 8080, false],
  ["bypass", "10.0.0.7:1", 8081, false],
  ["inspect", "10.0.0.7:1", 8080, false],
  ["inspect", "10.0.0.7:1", 9000, false],
  ["inspect", "10.0.0.7:1", 5432, true],
  ["inspect", "[fd00::8]:1", 5432, false],
] as const)("%s: from %s to port %d the kernel exempts connections: %p", (mode, from, port, is) => {
  const probes = { bypass, inspect }[mode];
  expect(isLeftAlone(probes, parseSocketAddress(from), port)).toBe(is);
});
