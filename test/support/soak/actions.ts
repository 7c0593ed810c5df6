/** The actions of a soak test with their frequencies. Every action knows its expected result. */
import { credentialsFor, type CredentialPaths, type Defect } from "../credentials.ts";
import { pattern } from "../pattern.ts";
import type { AgentSocket } from "../application.ts";
import type { Pod } from "../pods.ts";
import { metrics } from "../status.ts";
import type { Seeded } from "./seeded.ts";
import { applicationPort, type Meeting, type Stage } from "./stage.ts";

/** Performs one action. A failure while a proxy is replaced is expected; any other is a violation. */
export async function perform(stage: Stage, random: Seeded): Promise<void> {
  const { name, act } = choose(random);
  const before = stage.epoch;
  try {
    await inTime(act(stage, random));
    stage.tally.count(name);
  } catch (error) {
    const replaced = before !== stage.epoch || before % 2 === 1;
    const never = error instanceof Corrupted || error instanceof Stuck;
    if (never || !replaced) {
      const sockets = error instanceof Stuck ? await stage.open() : "";
      stage.tally.violate(`${name}: ${String(error)}\n${stage.said()}${sockets}`);
    } else stage.tally.count("cut by a proxy's end");
  }
}

/** An action that takes this long will never end, which is never excused. */
async function inTime(acting: Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new Stuck(`no end after ${actionMsMax / 1000} s`));
  }, actionMsMax);
  try {
    await Promise.race([acting, promise]);
  } finally {
    clearTimeout(timer);
  }
}

class Stuck extends Error {}

/** Bytes that differ from those sent, before an orderly end: never excused. */
class Corrupted extends Error {}

type Action = {
  readonly name: string;
  readonly weight: number;
  readonly act: (stage: Stage, random: Seeded) => Promise<void>;
};

const actions: readonly [Action, ...Action[]] = [
  { name: "transfers both ways", weight: 600, act: transfer },
  { name: "resets", weight: 100, act: reset },
  { name: "idle connections", weight: 30, act: idle },
  { name: "refused ports", weight: 50, act: refused },
  { name: "clients that go at once", weight: 50, act: goAtOnce },
  { name: "crowds of strangers", weight: 60, act: crowd },
  { name: "crowds with bad certificates", weight: 30, act: impostors },
  { name: "scrapes", weight: 50, act: scrape },
  { name: "wires cut and mended", weight: 10, act: cutWire },
  { name: "rules of others changed", weight: 10, act: changeForeignRules },
  {
    name: "proxies killed",
    weight: 1,
    act: async (stage, random) => replace(stage, random, "SIGKILL"),
  },
  {
    name: "proxies told to end",
    weight: 1,
    act: async (stage, random) => replace(stage, random, "SIGTERM"),
  },
];

function choose(random: Seeded): Action {
  let left = random.fraction() * actions.reduce((sum, { weight }) => sum + weight, 0);
  for (const action of actions) {
    left -= action.weight;
    if (left < 0) return action;
  }
  return actions[0];
}

/**
 * If an action fails because a proxy was replaced, both applications may hold sockets that no peer will end any more:
 * the one that has read an end must close its own.
 */
async function withMeeting(
  stage: Stage,
  random: Seeded,
  act: (met: Meeting) => Promise<void>,
): Promise<void> {
  const met = await meeting(stage, random);
  try {
    await act(met);
  } catch (error) {
    await Promise.all([met.client.reset(), met.server.reset()]);
    throw error;
  }
}

async function meeting(stage: Stage, random: Seeded): Promise<Meeting> {
  const [from, to] = random.pick([
    [stage.a, stage.b],
    [stage.b, stage.a],
  ] as const);
  const host = random.pick([to.address4, to.address6]);
  const met = await stage.meet(from, host);
  stage.tally.count("connections");
  return met;
}

/** Different sizes both ways, ends in any order, with readers that pause. */
async function transfer(stage: Stage, random: Seeded): Promise<void> {
  await withMeeting(stage, random, async (met) => exchange(stage, random, met));
}

async function exchange(
  stage: Stage,
  random: Seeded,
  { id, client, server }: Meeting,
): Promise<void> {
  const [there, back] = [random.size(sizeMax), random.size(sizeMax)];
  if (random.chance(0.2)) await pauseOften(server, random);
  const legs = [async () => sendAll(client, there), async () => sendAll(server, back)];
  if (random.chance(0.5)) legs.reverse();
  // One after the other: the first direction is closed long before the second begins.
  if (random.chance(0.3)) for (const leg of legs) await leg();
  else await Promise.all(legs.map(async (leg) => leg()));
  const [atServer, atClient] = await Promise.all([server.finish(), client.finish()]);
  compare(atServer, digestOf(id, there));
  compare(atClient, digestOf("", back));
  stage.tally.bytes += there + back + id.length;
}

async function sendAll(socket: AgentSocket, bytes: number): Promise<void> {
  await socket.write(bytes);
  await socket.end();
}

async function pauseOften(socket: AgentSocket, random: Seeded): Promise<void> {
  for (let turn = random.integer(1, 5); turn > 0; turn -= 1) {
    await socket.pause();
    await Bun.sleep(random.integer(1, 50));
    await socket.resume();
  }
}

function compare(got: { ending: string; sha256: string; bytes: number }, digest: string): void {
  if (got.ending !== "end") throw new Error(`ended by ${got.ending} after ${got.bytes} bytes`);
  if (got.sha256 !== digest) throw new Corrupted(`other bytes than were sent (${got.bytes})`);
}

function digestOf(head: string, bytes: number): string {
  const hasher = new Bun.CryptoHasher("sha256");
  hasher.update(head);
  for (let at = 0; at < bytes; at += pieceBytes)
    hasher.update(pattern(at, Math.min(pieceBytes, bytes - at)));
  return hasher.digest("hex");
}

/** A reset on one side arrives as a reset on the other. */
async function reset(stage: Stage, random: Seeded): Promise<void> {
  await withMeeting(stage, random, async ({ client, server }) => {
    const [rude, other] = random.chance(0.5) ? [client, server] : [server, client];
    if (random.chance(0.5)) await rude.say("and then");
    await rude.reset();
    const { ending } = await other.finish();
    if (ending !== "ECONNRESET") throw new Corrupted(`a reset arrived as ${ending}`);
  });
}

async function idle(stage: Stage, random: Seeded): Promise<void> {
  await withMeeting(stage, random, async ({ client, server }) => {
    await Bun.sleep(random.integer(1000, 5000));
    await Promise.all([client.end(), server.end()]);
    const { ending } = await client.finish();
    if (ending !== "end") throw new Error(`an idle connection ended by ${ending}`);
  });
}

async function refused(stage: Stage, random: Seeded): Promise<void> {
  const host = random.pick([stage.b.address4, stage.b.address6]);
  const ending = await stage.a.agent.attempt(host, 81);
  if (ending !== "ECONNRESET") throw new Error(`a closed port answered with ${ending}`);
}

async function goAtOnce(stage: Stage, random: Seeded): Promise<void> {
  const from = random.pick([stage.a, stage.c]);
  const socket = await from.agent.connect(stage.b.address4, applicationPort);
  if (random.chance(0.5)) await socket.reset();
  else await socket.end();
}

async function crowd(stage: Stage, random: Seeded): Promise<void> {
  const kind = random.pick([
    "silent",
    "http",
    "random",
    "half-hello",
    "drip",
    "oversize-record",
    "vanish",
  ]);
  const count = random.size(kind === "vanish" ? 300 : 50);
  await visit(stage, random, { kind, count, own: [] });
}

async function impostors(stage: Stage, random: Seeded): Promise<void> {
  const { certificate, key } = random.pick(await badCredentials(stage.c));
  await visit(stage, random, {
    kind: "request",
    count: random.size(20),
    own: [certificate, key],
  });
}

type Visit = { readonly kind: string; readonly count: number; readonly own: readonly string[] };

/** The crowd must not get any byte of the application: all it may see is TLS alert records. */
async function visit(stage: Stage, random: Seeded, { kind, count, own }: Visit): Promise<void> {
  const to = random.pick([stage.a, stage.b]);
  const args = [random.pick([to.address4, to.address6]), String(applicationPort), ...own];
  const { endings } = await stage.c.crowd(kind, count, count, ...args).end();
  if ((endings["answered"] ?? 0) > 0) throw new Corrupted(`${kind} was answered`);
  stage.tally.count("connections", count);
}

const defects: readonly [Defect, ...Defect[]] = [
  { foreign: true },
  { expired: true },
  { early: true },
  { isAuthority: true },
  { usages: ["serverAuth"] },
];
let bad: readonly [CredentialPaths, ...CredentialPaths[]] | null = null;

async function badCredentials(pod: Pod): Promise<readonly [CredentialPaths, ...CredentialPaths[]]> {
  await Promise.resolve();
  const [first, ...others] = defects;
  const issue = (defect: Defect): CredentialPaths => credentialsFor([pod.address4], defect);
  bad ??= [issue(first), ...others.map(issue)];
  return bad;
}

async function scrape(stage: Stage, random: Seeded): Promise<void> {
  const all = await metrics(random.pick([stage.a, stage.b]));
  if (all.size === 0) throw new Error("no metrics");
  if (all.get("tproxy_rules_intact") !== 1) throw new Error("the rules are not as written");
}

async function cutWire(stage: Stage, random: Seeded): Promise<void> {
  const pod = random.pick([stage.a, stage.b]);
  // At the bridge's end: at the pod's end, its IPv6 addresses would be lost.
  stage.plug(pod, false);
  await Bun.sleep(random.integer(10, 200));
  stage.plug(pod, true);
}

async function changeForeignRules(stage: Stage, random: Seeded): Promise<void> {
  const pod = random.pick([stage.a, stage.b]);
  const table = `soak${random.integer(0, 1e9)}`;
  for (const verb of ["add", "delete"]) await pod.run(["nft", verb, "table", "inet", table]);
}

async function replace(stage: Stage, random: Seeded, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
  await stage.replace(random.pick(["a", "b"]), signal);
}

const actionMsMax = 60_000;
const sizeMax = 20_000_000;
const pieceBytes = 262_144;
