/** How the ends that the proxy itself causes are counted: by the reason, not as cuts by the network. */
import { expect, test } from "bun:test";

import type { MetricsNames } from "../../../src/connection/metric-names.ts";
import { Metrics } from "../../../src/connection/metrics.ts";
import { LimitRefusals } from "../../../src/connection/limit-refusals.ts";
import { ConnectionRegistry } from "../../../src/connection/registry.ts";
import { parseSocketAddress } from "../../../src/net/address.ts";
import { faultFrom, type Fault } from "../../../src/net/fault.ts";
import { LegSocket } from "../../../src/net/leg-socket.ts";
import type { OriginalDestination } from "../../../src/net/original-destination.ts";
import { Leg } from "../../../src/relay/leg.ts";
import { Screening } from "../../../src/detect/screening.ts";
import { endingOf, type ConnectionRecord } from "../../../src/connection/record.ts";
import { silentLog } from "../../support/silent-log.ts";

function plain(): Leg {
  return new Leg(new LegSocket(false), "waiting");
}

function now(): number {
  return 0;
}

type Relayed = {
  readonly metrics: Metrics;
  readonly registry: ConnectionRegistry;
  readonly record: ConnectionRecord;
  readonly upstream: Leg;
};

function relayed(names: MetricsNames): Relayed {
  const metrics = new Metrics(names);
  const refusals = new LimitRefusals({ log: silentLog, metrics, now });
  const parts = { log: silentLog, metrics, refusals, now, ownNotAfter: () => Infinity };
  const registry = new ConnectionRegistry(parts);
  const peer = parseSocketAddress("192.0.2.1:1000");
  const original = parseSocketAddress("192.0.2.2:80") as OriginalDestination;
  const record = registry.open("inbound", { leg: plain(), undecided: false, peer, original });
  const upstream = plain();
  record.relay(upstream);
  return { metrics, registry, record, upstream };
}

/** The label of a relayed connection that was ended with `fault`. */
async function labelFor(fault: Fault, names: MetricsNames): Promise<string | undefined> {
  const { metrics, registry, record } = relayed(names);
  registry.terminateWhere(fault, () => true);
  registry.close(record);
  return /tcp_close_total\{direction="inbound",how="([^"]*)"\} 1/.exec(await metrics.text())?.[1];
}

test.each([
  ["IDLE_TIMEOUT", "idle", "cut"],
  ["DRAINED", "drained", "cut"],
  ["RULES_CHANGED", "rules-changed", "revoked"],
  ["REVOKED", "revoked", "revoked"],
  ["MAX_AGE", "aged", "aged"],
  ["CERTIFICATE_AGE", "aged", "aged"],
  ["HELD_MEMORY", "limit", "limit"],
  ["ECONNRESET", "cut", "cut"],
  [faultFrom("ESTALE"), "cut", "cut"],
] as const)(
  "an end by %s is counted as %s, and under the old names as %s",
  async (fault, how, old) => {
    expect(await labelFor(fault, "new")).toBe(how);
    expect(await labelFor(fault, "old")).toBe(old);
  },
);

test("a probe that is refused while it is relayed is logged with the reason of its refusal", () => {
  const { record, upstream } = relayed("new");
  const probe = new Screening([]);
  probe.refusal = { reason: "more", detail: "bytes after the request" };
  record.probe = probe;
  record.downstream.terminate("PROBE_REFUSED");
  expect(endingOf(record, upstream)).toBe("downstream: bytes after the request");
});
