/**
 * Measures two proxies between two pods, beside HAProxy's pair doing the same in the same run: CPU of both
 * proxies per request, per connection and per gigabyte; then memory of idle connections, 10,000 connections one after the other and 1,000 at
 * once, with what is left of them. As root: `bun scripts/bench.ts [rounds]`.
 */
import { readFileSync, writeFileSync } from "node:fs";

import { credentialsFor } from "../test/support/credentials.ts";
import { flagsOf } from "../test/support/mesh.ts";
import { listening } from "../test/support/programs.ts";
import { executable, Network, socketsLeft, type Pod, type Running } from "../test/support/pods.ts";

type Pair = {
  readonly name: string;
  readonly a: Pod;
  readonly b: Pod;
  readonly pids: readonly number[];
};
type Load = {
  readonly name: string;
  readonly unit: string;
  readonly work: string;
  readonly scale: number;
};

const rounds = Number(process.argv[2] ?? 3);
const load = new URL("../test/support/load.ts", import.meta.url).pathname;
const ticksPerSecond = 100;
const loads: readonly Load[] = [
  {
    name: "keep-alive, 32 connections",
    unit: "µs CPU per request",
    work: "requests 20000",
    scale: 1e6,
  },
  {
    name: "new connection per request, 32",
    unit: "µs CPU per connection",
    work: "connections 2000",
    scale: 1e6,
  },
  { name: "bulk, 1 stream", unit: "CPU-s per GB", work: "bulk 2000000000", scale: 1e9 },
];

/** It cannot mark what it dials, so its packets are told by their user; a SYN-ACK has its listener's. */
const afterLoopback = /oifname "lo" return\n/;
const haproxyRules = "meta skuid 9999 return\ntcp flags & (syn | ack) == (syn | ack) return\n";

const network = Network.make();
try {
  await main();
} finally {
  await network.dispose();
}

async function main(): Promise<void> {
  const pairs = [await ourPair(), await haproxyPair()];
  for (const one of loads) {
    const results = new Map<string, number[]>();
    for (let round = 0; round < rounds; round += 1)
      for (const pair of pairs)
        results.set(pair.name, [...(results.get(pair.name) ?? []), await measure(pair, one)]);
    for (const [name, values] of results)
      print(one.name, name, `${median(values).toFixed(2)} ${one.unit}`);
  }
  const [ours] = pairs;
  if (ours === undefined) return;
  await idle(ours);
  await endurance(ours);
}

/** CPU seconds of both proxies for one unit of work, times the unit's scale. */
async function measure(pair: Pair, one: Load): Promise<number> {
  const before = cpuOf(pair.pids);
  const { done, failed } = await run(pair, one.work);
  if (failed > 0) print(one.name, pair.name, `${failed} FAILED`);
  return ((cpuOf(pair.pids) - before) * one.scale) / done;
}

/** What connections cost that are open and silent: resident and anonymous memory of both proxies. */
async function idle(pair: Pair): Promise<void> {
  print("idle connections: 0", pair.name, memoryOf(pair));
  for (const count of [1000, 5000]) {
    const command = ["bun", load, "idle", String(count), pair.b.address4];
    const standing = Bun.spawn(["ip", "netns", "exec", pair.a.namespace, ...command], {
      stdin: "pipe",
      stderr: "pipe",
      stdout: "ignore",
    });
    await standing.stderr.getReader().read();
    print(`idle connections: ${count}`, pair.name, memoryOf(pair));
    await standing.stdin.end();
    await standing.exited;
  }
}

function memoryOf({ pids }: Pair): string {
  const of = (name: string): string =>
    pids
      .map((pid) => {
        const status = readFileSync(`/proc/${pid}/status`, "utf8");
        return Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]);
      })
      .join(" and ");
  return `RSS ${of("VmRSS")} kB, of these anonymous ${of("RssAnon")} kB`;
}

async function endurance(pair: Pair): Promise<void> {
  const rss: number[] = [];
  let failures = 0;
  for (let part = 0; part < 2; part += 1) {
    failures += (await run(pair, "sequential 5000")).failed;
    rss.push(pair.pids.reduce((sum, pid) => sum + rssOf(pid), 0));
  }
  const [half = 0, full = 0] = rss;
  print(
    "10,000 connections in a row",
    pair.name,
    `${failures} failed, RSS of both ${half} kB after 5,000, ${full} kB after 10,000 (${(((full - half) / half) * 100).toFixed(1)} %)`,
  );
  const burst = await run(pair, "burst 1000");
  print("1,000 connections at once", pair.name, `${burst.failed} failed`);
  print("sockets left", pair.name, String((await socketsLeft([pair.a, pair.b])).length));
}

async function run(pair: Pair, work: string): Promise<{ done: number; failed: number }> {
  const { stdout, stderr, code } = await pair.a.run([
    "bun",
    load,
    ...work.split(" "),
    pair.b.address4,
  ]);
  if (code !== 0) throw new Error(`load: ${stderr}`);
  return JSON.parse(stdout) as { done: number; failed: number };
}

async function ourPair(): Promise<Pair> {
  const [a, b] = [network.pod(), network.pod()];
  const proxies: Running[] = [];
  for (const pod of [a, b]) {
    const flags = flagsOf(credentialsFor([pod.address4, pod.address6]));
    proxies.push(await pod.proxy(flags));
  }
  await serve(b);
  return { name: "tproxy", a, b, pids: proxies.map(({ pid }) => pid) };
}

/** HAProxy in both pods, one thread each, our rules with its own listeners behind them. */
async function haproxyPair(): Promise<Pair> {
  const [a, b] = [network.pod(), network.pod()];
  const pids: number[] = [];
  for (const pod of [a, b]) {
    const paths = credentialsFor([pod.address4, pod.address6]);
    const pem = `${paths.directory}/both.pem`;
    writeFileSync(pem, readFileSync(paths.certificate, "utf8") + readFileSync(paths.key, "utf8"));
    writeFileSync(`${paths.directory}/haproxy.cfg`, haproxyText(pem, paths.authority));
    const { stdout } = await pod.run([...executable(), "rules", "--print"]);
    const rules = await pod.run(["sh", "-e"], stdout.replace(afterLoopback, `$&${haproxyRules}`));
    if (rules.code !== 0) throw new Error(rules.stderr);
    const haproxy = pod.start(["haproxy", "-db", "-f", `${paths.directory}/haproxy.cfg`]);
    await Promise.race([listening(pod, 2), haproxy.says(/ALERT/)]);
    if (haproxy.output.includes("ALERT")) throw new Error(haproxy.output);
    pids.push(haproxy.pid);
  }
  await serve(b);
  return { name: "HAProxy", a, b, pids };
}

/** Resuming, as it does by default. */
function haproxyText(pem: string, authority: string): string {
  return `global
  nbthread 1
  maxconn 5000
  uid 9999
  gid 9999
  ssl-server-verify required
defaults
  mode tcp
  timeout connect 10s
  timeout client 60s
  timeout server 60s
frontend outbound
  bind 127.0.0.1:1 transparent
  default_backend peers
backend peers
  server peer 0.0.0.0:0 ssl crt ${pem} ca-file ${authority} verify required
frontend inbound
  bind 127.0.0.1:2 transparent ssl crt ${pem} ca-file ${authority} verify required ssl-min-ver TLSv1.3
  default_backend application
backend application
  server application 0.0.0.0:0
`;
}

async function serve(pod: Pod): Promise<void> {
  await pod.start(["bun", load, "serve"]).says(/serving/);
}

/** User and system time in seconds: proc(5), stat, fields 14 and 15. */
function cpuOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
    return sum + (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  }, 0);
}

function rssOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

function median(values: readonly number[]): number {
  return values.toSorted((x, y) => x - y)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function print(what: string, who: string, result: string): void {
  console.log(`${what.padEnd(32)} ${who.padEnd(8)} ${result}`);
}
