/** The table of faults: each code has its words, and no code is without an entry. */
import { expect, test } from "bun:test";

import { hows } from "../../../src/connection/metrics.ts";
import {
  describeFault,
  factsOf,
  faultFrom,
  knownFaults,
  type Fault,
} from "../../../src/net/fault.ts";
import { failureOf } from "../../../src/tls/failure.ts";
import { topicText } from "../../support/topics.ts";

/** Does not compile if a code without an entry is a fault. */
const isRefused: "NO_SUCH_FAULT" extends Fault ? false : true = true;
const isText: string extends Fault ? false : true = true;

test("a code without an entry in the table does not compile, and neither does a sentence", () => {
  expect([isRefused, isText]).toEqual([true, true]);
});

test("every code has words, a meaning for the handshake, and nothing that is counted nowhere", () => {
  expect(knownFaults.length).toBeGreaterThan(40);
  for (const fault of knownFaults) {
    expect(factsOf(fault)).toBeDefined();
    expect(describeFault(fault)).toMatch(/^\S.{4,}\S$/);
    expect(describeFault(fault)).not.toBe(fault);
  }
});

/** All ends that the proxy itself causes while a connection is relayed: a new one must be added here too. */
test("ends that the proxy causes are counted by their reason", () => {
  const causes = knownFaults.flatMap((fault) => {
    const facts = factsOf(fault);
    return facts !== undefined && "how" in facts ? [[fault, facts.how]] : [];
  });
  expect(Object.fromEntries(causes)).toEqual({
    CERTIFICATE_AGE: "aged",
    DRAINED: "drained",
    EVICTED: "limit",
    HELD_MEMORY: "limit",
    IDLE_TIMEOUT: "idle",
    MAX_AGE: "aged",
    REVOKED: "revoked",
    RULES_CHANGED: "rules-changed",
    SHARE: "limit",
    UNVERIFIED_MEMORY: "limit",
  });
});

test("an end that the proxy causes is no failed handshake", () => {
  for (const fault of knownFaults) {
    const facts = factsOf(fault);
    if (facts !== undefined && "how" in facts) expect(failureOf(fault)).toBeNull();
  }
});

test("a code that the table does not have is printed as it is, and is an error of TLS or an alert", () => {
  const codes = ["BAD_DECRYPT", "SSLV3_ALERT_NEW", "toString"].map(faultFrom);
  expect(codes.map(describeFault)).toEqual(["BAD_DECRYPT", "SSLV3_ALERT_NEW", "toString"]);
  expect(codes.map(failureOf)).toEqual(["tls-error", "refused-by-peer", "tls-error"]);
});

test("the topic metrics explains every way that a connection ends, and no other", () => {
  const table = /`how` is one of:\n([^]*?)\n## /.exec(topicText("metrics"))?.[1] ?? "";
  expect([...table.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, how]) => how)).toEqual([...hows]);
});
