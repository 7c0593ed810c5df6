/** The log's explanation for a TLS handshake that hangs. */
import { expect, test } from "bun:test";

import { parseSocketAddress } from "../../../src/net/address.ts";
import { describeHang, describeLateReset, type Hung } from "../../../src/net/hang.ts";

const none = { unackedSegments: 0, receivedBytes: 0, dataSegmentsIn: 0, pathMtuBytes: 1400 };

function hang(role: Hung["role"], info: Partial<Hung["info"]>, peer = "10.0.0.2:80"): string {
  return describeHang({ info: { ...none, ...info }, peer: parseSocketAddress(peer), role });
}

test("a client that sent nothing is no sign of a wrong MTU", () => {
  expect(hang("server", {})).toBe("the client connected and sent nothing");
});

test.each([
  ["client", { unackedSegments: 2 }],
  ["client", { receivedBytes: 5, dataSegmentsIn: 1 }],
  ["client", {}],
  ["server", { unackedSegments: 1 }],
  ["server", { dataSegmentsIn: 1 }],
  ["server", { receivedBytes: 5, dataSegmentsIn: 1 }],
] as const)("everything else may be one: %s %j", (role, info) => {
  expect(hang(role, info)).toContain("MTU");
});

test("the ping size fills a packet of the path, in both families", () => {
  expect(hang("client", {})).toContain('"ping -M do -s 1372 10.0.0.2"');
  expect(hang("client", {}, "[fd00::2]:80")).toContain('"ping -M do -s 1352 fd00::2"');
});

test("for a reset connection, whose path MTU is unknown, Ethernet's MTU is used", () => {
  const text = describeLateReset(parseSocketAddress("10.0.0.2:80"), 3210);
  expect(text).toStartWith(" 3.2 s into the TLS handshake. ");
  expect(text).toContain('"ping -M do -s 1472 10.0.0.2"');
});
