/**
 * Mutual TLS over two proxies costs only the expected multiple of a plain relay over one proxy of the same build.
 * Compares the proxies' CPU time for the same work in turn, by medians: the machine's load and speed do not matter.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";

import { doRequests, doWork, type Done } from "../../scripts/bench/loads.ts";
import { warm } from "../../scripts/bench/measure.ts";
import { Pair } from "../../scripts/bench/pair.ts";
import { cpuOf } from "../../scripts/bench/processes.ts";
import { median } from "../../scripts/bench/statistics.ts";
import { systems } from "../../scripts/bench/systems.ts";

type Work = (pair: Pair) => Promise<Done>;

const rounds = 3;
const pairs: Pair[] = [];
const requests: Work = async (pair) => await doRequests(pair, 10_000);
const bytes: Work = async (pair) =>
  await doWork(pair, { kind: "bulk", streams: 1, direction: "up" }, 1);
const connections: Work = async (pair) => await doWork(pair, { kind: "connections", width: 8 }, 1);

beforeAll(async () => {
  for (const name of ["relay", "mtls"]) pairs.push(await pairOf(name));
  await Promise.all(pairs.map(warm));
});

afterAll(async () => {
  for (const pair of pairs) await pair.dispose();
});

/** Typical: 2.5 times for a request, 3 for a byte and for a connection, because of two proxies and TLS. */
test.each([
  ["a request", requests, 8],
  ["a byte", bytes, 10],
  ["a connection", connections, 10],
] as const)("%s stays below its multiple of the CPU time", async (_, work, timesMax) => {
  const costs = new Map<Pair, number[]>(pairs.map((pair) => [pair, []]));
  for (let round = 0; round < rounds; round += 1)
    for (const [pair, found] of costs) found.push(await cost(pair, work));
  const [relay = Number.NaN, mtls = Number.NaN] = [...costs.values()].map(median);
  expect(relay).toBeGreaterThan(0);
  expect(mtls / relay).toBeLessThan(timesMax);
});

/** CPU seconds of the proxies for one request, or for one byte. */
async function cost(pair: Pair, work: Work): Promise<number> {
  const before = cpuOf(pair.pids);
  const { done, failed } = await work(pair);
  expect(failed).toBe(0);
  return (cpuOf(pair.pids) - before) / done;
}

async function pairOf(name: string): Promise<Pair> {
  const system = systems.find((each) => each.name === name);
  if (system === undefined) throw new Error(`there is no system ${name}`);
  return await Pair.make(name, system.setUp);
}
