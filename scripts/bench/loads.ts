/** Runs one case's work between two pods: by wrk, iperf3 and openssl, or by client.ts if there is no such program. */
import type { Output } from "../../test/support/pods.ts";
import type { Work } from "./cases.ts";
import { bulkPort, httpPort } from "./protocol.ts";
import type { Percentiles } from "./results.ts";
import type { Pair } from "./pair.ts";

export type Done = {
  /** What the case counts: requests, connections, bytes, round trips. */
  readonly done: number;
  readonly failed: number;
  readonly seconds: number;
  readonly latency: Percentiles | null;
};

type Timed = Exclude<Work, { readonly kind: "standing" }>;

/** Runs for about this many seconds. Throws if a program fails altogether. */
export async function doWork(pair: Pair, work: Timed, seconds: number): Promise<Done> {
  switch (work.kind) {
    case "paced":
      return await ownClient(pair, "paced", seconds);
    case "ping":
      return await ownClient(pair, "ping", seconds);
    case "requests":
      return await wrk(pair, work.connections, seconds, []);
    case "connections":
      return await wrk(pair, work.width, seconds, ["--header", "Connection: close"]);
    case "bulk":
      return await iperf(pair, work, seconds);
    case "handshakes":
      return await openssl(pair, work.resumed, seconds);
  }
}

/**
 * This many requests over 32 connections: a fixed count, so that the start-up has the same share on a busy machine.
 */
export async function doRequests(pair: Pair, count: number): Promise<Done> {
  return await ownClient(pair, "requests", count);
}

/** This many new connections, 32 at once, each counted when it has ended: wrk would omit those in progress. */
export async function doConnections(pair: Pair, count: number): Promise<Done> {
  return await ownClient(pair, "connections", count);
}

async function ownClient({ a, target }: Pair, kind: string, amount: number): Promise<Done> {
  const script = `${import.meta.dir}/client.ts`;
  const output = await a.run(["bun", script, kind, String(amount), target]);
  return JSON.parse(succeeded("client.ts", output)) as Done;
}

/** wrk takes whole seconds, measures from the connected socket to the answer, and opens all connections first. */
async function wrk(
  { a, target }: Pair,
  connections: number,
  seconds: number,
  more: readonly string[],
): Promise<Done> {
  const options = ["--threads", "1", "--connections", String(connections), "--timeout", "10s"];
  const script = ["--script", `${import.meta.dir}/wrk.lua`];
  const url = `http://${target}:${httpPort}/`;
  const time = ["--duration", `${wholeSeconds(seconds)}s`];
  const output = await a.run(["wrk", ...options, ...time, ...script, ...more, url]);
  const line = /^\{"done".*\}$/m.exec(succeeded("wrk", output))?.[0];
  if (line === undefined) throw new Error(`wrk said: ${output.stdout}`);
  return JSON.parse(line) as Done;
}

type Bulk = Extract<Work, { readonly kind: "bulk" }>;

/** Counts the bytes that have arrived. */
async function iperf({ a, target }: Pair, work: Bulk, seconds: number): Promise<Done> {
  const streams = ["--parallel", String(work.streams), "--time", String(wholeSeconds(seconds))];
  const direction = work.direction === "down" ? ["--reverse"] : [];
  const where = ["--client", target, "--port", String(bulkPort)];
  const output = await a.run(["iperf3", ...where, ...streams, ...direction, "--json"]);
  const { end } = JSON.parse(succeeded("iperf3", output)) as {
    readonly end: { readonly sum_received: { readonly bytes: number; readonly seconds: number } };
  };
  const { bytes, seconds: took } = end.sum_received;
  return { done: bytes, failed: 0, seconds: took, latency: null };
}

/**
 * s_time, from a pod without a proxy: mutual TLS 1.3 with a request and its answer on each connection, so that both
 * sides have verified each other. It prints an "r" for each resumed connection, a "*" for each other one.
 */
async function openssl(pair: Pair, resumed: boolean, seconds: number): Promise<Done> {
  const { c, b, tlsPort, clientPaths: paths } = pair;
  if (tlsPort === null) throw new Error(`${pair.system} has no TLS`);
  const own = ["-cert", paths.certificate, "-key", paths.key, "-CAfile", paths.authority];
  const where = ["-connect", `${b.address4}:${tlsPort}`, "-www", "/"];
  const kind = [resumed ? "-reuse" : "-new", "-time", String(wholeSeconds(seconds)), "-tls1_3"];
  const began = performance.now();
  const output = await c.run(["openssl", "s_time", ...where, ...own, ...kind]);
  const took = (performance.now() - began) / 1000;
  return {
    ...readSTime(succeeded("openssl s_time", output), resumed),
    seconds: took,
    latency: null,
  };
}

/** Parses s_time's output. A connection that has not resumed although it should, or vice versa, counts as failed. */
export function readSTime(text: string, resumed: boolean): Pick<Done, "done" | "failed"> {
  const marks = /^[r*]+$/m.exec(text)?.[0] ?? "";
  const wanted = marks.replaceAll(resumed ? "*" : "r", "").length;
  return { done: marks.length, failed: marks.length - wanted };
}

function wholeSeconds(seconds: number): number {
  return Math.max(1, Math.round(seconds));
}

function succeeded(program: string, { code, stdout, stderr }: Output): string {
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${stderr}${stdout}`);
  return stdout;
}
