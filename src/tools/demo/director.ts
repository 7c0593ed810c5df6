/** The demo, scene by scene: actions, expectations and observations. Runs inside the demo's namespaces. */
import { Capture } from "./capture.ts";
import type { DemoCredentials } from "./credentials.ts";
import { cableIndex, layCables } from "./links.ts";
import type { ClientCredentials, RequestOutcome } from "./messages.ts";
import { Remote } from "./remote.ts";
import {
  answerText,
  applicationPort,
  hosts,
  internet,
  requestText,
  podSpiffeId,
  type HostName,
  type PodName,
} from "./topology.ts";
import type { Transcript } from "./transcript.ts";
import { readWire, type WireReport } from "./wire.ts";

export type Stage = {
  readonly transcript: Transcript;
  readonly remotes: Readonly<Record<HostName, Remote>>;
  readonly credentials: DemoCredentials;
};

/** Three hosts on one network, each with an application. */
export async function setStage(self: readonly string[]): Promise<Stage["remotes"]> {
  const [a, b, c] = await Promise.all([
    Remote.start("a", self, []),
    Remote.start("b", self, []),
    Remote.start("c", self, []),
  ]);
  layCables({ a: a.pid, b: b.pid, c: c.pid });
  await Promise.all(
    [a, b, c].map(async (remote) => {
      await remote.order("network", null);
      await remote.order("serve", { port: applicationPort });
    }),
  );
  return { a, b, c };
}

/** Plays all scenes in order. */
export async function perform(stage: Stage): Promise<void> {
  await withoutProxies(stage);
  await startProxies(stage);
  await betweenPods(stage);
  await outsiders(stage);
  await outsideTheMesh(stage);
  await wrongIdentity(stage);
  await wrongAddress(stage);
  await proxyKilled(stage);
}

async function withoutProxies(stage: Stage): Promise<void> {
  stage.transcript.heading("Control: the wire without proxies");
  const wire = await overhear(async () => {
    await expectAnswer(stage, "pod a asks pod b over plain HTTP", {
      from: "a",
      address: hosts.b.ipv4,
    });
  });
  const found = occurrences(wire);
  show(stage, "its text on the wire between them", "to be read", `${found} times`, found > 0);
}

async function startProxies(stage: Stage): Promise<void> {
  stage.transcript.heading("A proxy in pod a and one in pod b");
  const { credentials } = stage;
  await startEach(stage, {
    a: [...credentials.proxy("a"), ...credentials.policy("a")],
    b: [...credentials.proxy("b"), ...credentials.policy("b")],
  });
}

/** IPv4, IPv6, and the reverse direction, with a capture on the network. */
async function betweenPods(stage: Stage): Promise<void> {
  const wire = await overhear(async () => {
    await expectAnswer(stage, "pod a asks pod b over plain HTTP, IPv4", {
      from: "a",
      address: hosts.b.ipv4,
    });
    await expectAnswer(stage, "pod a asks pod b, IPv6", { from: "a", address: hosts.b.ipv6 });
    await expectAnswer(stage, "pod b asks pod a, IPv4", { from: "b", address: hosts.a.ipv4 });
    await expectAnswer(stage, "pod b asks pod a, IPv6", { from: "b", address: hosts.a.ipv6 });
  });
  await expectLine(stage, "a", "the peer in the log of pod a's proxy", `peer=${podSpiffeId("b")}`);
  await expectLine(stage, "b", "the peer in the log of pod b's proxy", `peer=${podSpiffeId("a")}`);
  stage.transcript.heading("What the wire between them showed meanwhile");
  show(
    stage,
    "frames captured and lost",
    "all, 0 lost",
    `${wire.frames}, ${wire.lost} lost`,
    wire.frames > 0 && wire.lost === 0,
  );
  const { tls13Handshakes: handshakes, connections } = wire;
  show(
    stage,
    "TLS 1.3 handshakes",
    "one each",
    `${handshakes} in ${connections} connections`,
    connections === 4 && handshakes === 4,
  );
  show(
    stage,
    "records of application data",
    "some",
    String(wire.applicationRecords),
    wire.applicationRecords > 0,
  );
  show(
    stage,
    "bytes outside of TLS records",
    "0",
    String(wire.foreignBytes + wire.missingBytes),
    wire.foreignBytes + wire.missingBytes === 0,
  );
  const found = occurrences(wire);
  show(
    stage,
    "the request's or the answer's text",
    "0 times",
    `${found} times`,
    found === 0 && wire.bytes > 0,
  );
}

async function outsiders(stage: Stage): Promise<void> {
  stage.transcript.heading("Host c, which has no proxy, asks pod b");
  await expectRefusal(stage, "a plain client", { from: "c", address: hosts.b.ipv4 });
  await expectRefusal(stage, "a plain client, IPv6", { from: "c", address: hosts.b.ipv6 });
  await expectRefusal(stage, "a TLS client without a certificate", {
    from: "c",
    address: hosts.b.ipv4,
    tls: {},
  });
  const { credentials } = stage;
  await expectRefusal(stage, "a TLS client of another CA", {
    from: "c",
    address: hosts.b.ipv4,
    tls: credentials.client("another", podSpiffeId("batch")),
  });
  await expectRefusal(stage, "one of ours that the policy does not name", {
    from: "c",
    address: hosts.b.ipv4,
    tls: credentials.client("ours", podSpiffeId("intruder")),
  });
  const reason = `${podSpiffeId("intruder")} is not one of those allowed here`;
  await expectLine(stage, "b", "the log of pod b's proxy", reason);
  await expectAnswer(stage, "one of ours that the policy names", {
    from: "c",
    address: hosts.b.ipv4,
    tls: credentials.client("ours", podSpiffeId("batch")),
  });
}

async function outsideTheMesh(stage: Stage): Promise<void> {
  stage.transcript.heading("The Internet, outside of the mesh ranges");
  const wire = await overhear(async () => {
    await expectAnswer(stage, `pod a asks ${internet.ipv4}`, { from: "a", address: internet.ipv4 });
    await expectAnswer(stage, `pod a asks ${internet.ipv6}`, { from: "a", address: internet.ipv6 });
  }, ["a", "internet"]);
  const found = occurrences(wire);
  show(
    stage,
    "its text on the wire",
    "in cleartext",
    `${found} times`,
    found > 0 && wire.tls13Handshakes === 0,
  );
}

async function wrongIdentity(stage: Stage): Promise<void> {
  stage.transcript.heading("Pod b's proxy has another workload's certificate");
  await stage.remotes.b.order("endProxy", "SIGTERM");
  await startEach(stage, {
    b: stage.credentials.proxy("b", { spiffeId: podSpiffeId("intruder") }),
  });
  await expectReset(stage);
  const reason = `${podSpiffeId("intruder")} is not one of those allowed here: ${podSpiffeId("b")}`;
  await expectLine(stage, "a", "the log of pod a's proxy", reason);
}

async function wrongAddress(stage: Stage): Promise<void> {
  stage.transcript.heading("Verified by address: pod b's certificate names 127.0.0.1 and ::1");
  const { credentials, remotes } = stage;
  await Promise.all(
    [remotes.a, remotes.b].map(async (remote) => await remote.order("endProxy", "SIGTERM")),
  );
  await startEach(stage, {
    a: [...credentials.proxy("a"), "--verify", "ip"],
    b: credentials.proxy("b", { ips: ["127.0.0.1", "::1"] }),
  });
  await expectReset(stage);
  const reason = `certificate is valid for 127.0.0.1, ::1, not ${hosts.b.ipv4}`;
  await expectLine(stage, "a", "the log of pod a's proxy", reason);
}

async function expectReset(stage: Stage): Promise<void> {
  const trial = { from: "a", address: hosts.b.ipv4 } as const;
  await expectRefusal(stage, "pod a asks pod b", trial, "ECONNRESET");
}

/** Expects a line in a proxy's log, and prints it. */
async function expectLine(stage: Stage, of: PodName, title: string, text: string): Promise<void> {
  const line = await stage.remotes[of].order("findLine", { text, msMax: answerMsMax });
  show(stage, title, "logged", line === null ? "not logged" : "logged", line !== null);
  if (line !== null) stage.transcript.quote(line);
}

async function proxyKilled(stage: Stage): Promise<void> {
  stage.transcript.heading("Pod b's proxy is killed (-9)");
  await stage.remotes.b.order("endProxy", "SIGKILL");
  await expectRefusals(stage, [
    ["a plain client on host c", { from: "c", address: hosts.b.ipv4 }],
    ["a plain client on host c, IPv6", { from: "c", address: hosts.b.ipv6 }],
    ["pod a", { from: "a", address: hosts.b.ipv4 }],
  ]);
  const { status } = await stage.remotes.b.order("removeRules", null);
  show(
    stage,
    "control: tls-tproxy rules --remove in pod b",
    "exit 0",
    `exit ${status}`,
    status === 0,
  );
  await expectAnswer(stage, "control: the plain client on host c again", {
    from: "c",
    address: hosts.b.ipv4,
  });
}

/** Starts the proxies of some pods at once; their lines appear in the order of the pods. */
async function startEach(
  stage: Stage,
  options: { readonly [pod in PodName]?: readonly string[] },
): Promise<void> {
  const started = await Promise.all(
    (["a", "b"] as const).map(async (name) => {
      const own = options[name];
      if (own === undefined) return null;
      const { ready, log } = await stage.remotes[name].order("startProxy", { options: own });
      return { name, ready, log };
    }),
  );
  for (const { name, ready, log } of started.filter((one) => one !== null)) {
    show(stage, `${hosts[name].title}: GET /readyz`, "200", ready ? "200" : "no", ready);
    if (!ready) for (const line of log) stage.transcript.quote(line);
  }
}

/** Who connects to whom: in cleartext, or by TLS with these credentials (`{}`: without a certificate). */
type Trial = {
  readonly from: HostName;
  readonly address: string;
  readonly tls?: ClientCredentials;
};

async function expectAnswer(stage: Stage, title: string, trial: Trial): Promise<void> {
  const outcome = await ask(stage, trial);
  const good =
    outcome.kind === "answer" && outcome.status === 200 && outcome.body.includes(answerText);
  show(stage, title, "200", wordsOf(outcome), good);
}

/** Expects a refusal, and that the application received nothing: withholding only the answer would not be enough. */
async function expectRefusal(
  stage: Stage,
  title: string,
  trial: Trial,
  code?: string,
): Promise<void> {
  await expectRefusals(stage, [[title, trial]], code);
}

/** Sends all requests at once, so that hosts without an answer wait at the same time. */
async function expectRefusals(
  stage: Stage,
  trials: readonly (readonly [title: string, trial: Trial])[],
  code?: string,
): Promise<void> {
  const before = (await stage.remotes.b.order("heard", null)).length;
  const outcomes = await Promise.all(
    trials.map(async ([title, trial]) => ({ title, outcome: await ask(stage, trial) })),
  );
  const heard = (await stage.remotes.b.order("heard", null)).length - before;
  for (const { title, outcome } of outcomes) {
    const words = wordsOf(outcome);
    const refused = outcome.kind !== "answer" && (code === undefined || words === code);
    const seen = heard === 0 ? words : `${words}, and the application heard it`;
    show(stage, title, code ?? "no answer", seen, refused && heard === 0);
  }
}

async function ask(stage: Stage, { from, address, tls }: Trial): Promise<RequestOutcome> {
  const path = requestText.slice("GET ".length);
  const question = { address, port: applicationPort, path, msMax: answerMsMax, tls: tls ?? null };
  return await stage.remotes[from].order("ask", question);
}

type Overheard = WireReport & { readonly lost: number };

/** Captures at pod a's cable while `act` runs. */
async function overhear(
  act: () => Promise<void>,
  between: readonly ("a" | "b" | "internet")[] = ["a", "b"],
): Promise<Overheard> {
  const capture = new Capture(cableIndex("a"));
  await act();
  const { frames, dropped } = capture.finish();
  const addresses = between.flatMap((name) => {
    const host = name === "internet" ? internet : hosts[name];
    return [host.ipv4, host.ipv6];
  });
  return { ...readWire(frames, addresses, [requestText, answerText]), lost: dropped };
}

function occurrences(wire: WireReport): number {
  return [...wire.texts.values()].reduce((sum, count) => sum + count, 0);
}

function show(stage: Stage, title: string, ...rest: readonly [string, string, boolean]): void {
  const [expected, seen, good] = rest;
  stage.transcript.line({ title, expected, seen, good });
}

function wordsOf(outcome: RequestOutcome): string {
  switch (outcome.kind) {
    case "answer":
      return String(outcome.status);
    case "refused":
      return outcome.code === "" ? "closed without an answer" : outcome.code;
    case "silence":
      return `no answer in ${outcome.msMax / 1000} s`;
  }
}

const answerMsMax = 1500;
