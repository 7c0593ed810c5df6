/**
 * Sends a repair process what a compromised proxy might; prints how that ended. Runs in a pod: `repair-teller.ts
 * WHAT`.
 */
import {
  encodeCommand,
  launchedBytes,
  ReportReader,
  type Command,
  type RepairReport,
} from "../../src/intercept/repair/frames.ts";
import { part, partsOf } from "../../src/intercept/repair/parts.ts";
import { fillBatch } from "../../src/intercept/kernel/encode.ts";
import { planOf } from "../../src/intercept/rules/plan.ts";
import { readSome, spawnRepairProcess, writeAll } from "../../src/native/repair-process.ts";
import * as nftables from "../../src/netlink/nftables.ts";
import * as route from "../../src/netlink/route.ts";
import type { Request } from "../../src/netlink/socket.ts";
import { concat, message } from "../../src/netlink/wire.ts";
import { deadlineMs } from "./deadline.ts";
import { defaults } from "./interceptions.ts";

const { fd } = spawnRepairProcess();
const reader = new ReportReader();
const heard: RepairReport[] = [];

/** The next report of this kind, or "end" if the repair process has ended. */
function next(kind: RepairReport["kind"]): RepairReport | "end" {
  const buffer = new Uint8Array(1 << 16);
  for (;;) {
    const at = heard.findIndex((report) => report.kind === kind);
    const [found] = at === -1 ? [] : heard.splice(at, 1);
    if (found !== undefined) return found;
    const length = readSome(fd, buffer, deadlineMs(10_000));
    if (length === 0) return "end";
    heard.push(...reader.read(buffer.subarray(0, length)));
  }
}

function say(command: Command | Uint8Array): void {
  const bytes = command instanceof Uint8Array ? command : encodeCommand(command);
  writeAll(fd, bytes, deadlineMs(10_000));
}

function load(number: number, requests: readonly Request[]): Command {
  const bytes = concat(...requests.map((one, at) => message(one, at, ...one.body)));
  return { kind: "load", part: number, bytes };
}

function sealed(...instead: readonly Command[]): RepairReport | "end" {
  for (const command of [...partsOf(defaults, { known: new Map(), devices: [] }), ...instead])
    say(command);
  say({ kind: "seal" });
  return next("done");
}

const other = nftables.batch([nftables.addTable("other"), nftables.deleteTable("other")]);
const mainRoute = route.addRoute({
  destination: Uint8Array.of(192, 0, 2, 0),
  prefix: 24,
  interfaceIndex: 1,
});
const acts: Readonly<Record<string, () => RepairReport | "end">> = {
  "a valid start": () => sealed(),
  "another table": () => sealed(load(part.changing, other)),
  "a route of others": () => sealed(load(part.routing, [mainRoute])),
  "no rules": () => sealed(load(part.open, [])),
  "other rules after sealing": () => {
    sealed();
    say(load(part.open, fillBatch({ ...planOf(defaults), chains: [] }, new Map())));
    return next("done");
  },
  "sealing twice": () => {
    sealed();
    say({ kind: "seal" });
    return next("done");
  },
  "a nonexistent state": () => {
    sealed();
    say({ kind: "use", part: part.routing });
    return next("done");
  },
  "states before sealing": () => {
    say({ kind: "use", part: part.open });
    return next("done");
  },
  "a body that never ends": () => {
    say(Uint8Array.of(1, 0, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255));
    return next("done");
  },
  "an adopt without prepared rules": () => {
    sealed();
    say({ kind: "adopt" });
    return next("done");
  },
  "a prepare without a launcher": () => {
    sealed();
    say({ kind: "prepare", number: 7 });
    return next("prepared");
  },
  "a message of the launcher": () => {
    sealed();
    say(launchedBytes([], "00".repeat(32)));
    return next("done");
  },
  "an adopt before sealing": () => {
    say({ kind: "adopt" });
    return next("done");
  },
  "a socket that is not TCP": () => {
    sealed();
    say({ kind: "destroy", body: new Uint8Array(56).fill(2, 0, 1).fill(17, 1, 2) });
    return next("destroyed");
  },
};

next("ready");
const outcome = acts[process.argv[2] ?? ""]?.() ?? "unknown";
console.log(answerOf(outcome));

function answerOf(report: RepairReport | "end" | "unknown"): unknown {
  if (typeof report === "string") return report;
  if (report.kind === "prepared") return report.outcome;
  return "errno" in report ? report.errno : report;
}
