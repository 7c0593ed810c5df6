/** Pods for tests: network namespaces on one bridge, with agents and proxies in them. Needs root and ip(8). */
import { afterAll } from "bun:test";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";

import { Agent } from "./application.ts";
import { externalRules } from "./external.ts";

/** Why pods cannot be made here, or null. On CI that is a failure: see `requirePods`. */
export function podsMissing(): string | null {
  if (process.getuid?.() !== 0) return "namespace tests need root";
  return Bun.which("ip") === null ? "namespace tests need ip (apt-get install iproute2)" : null;
}

/** Throws if pods cannot be made: a test that cannot run fails with a message. */
export function requirePods(): void {
  const missing = podsMissing();
  if (missing !== null) throw new Error(missing);
}

export type Output = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** A bridge and its pods, 10.77.0.0/24 and fd77::/64. Removed after the file's tests. */
export class Network {
  readonly #name = `${prefix}x${(serial += 1)}`;
  readonly #pods: Pod[] = [];

  /** For a test file: removed after its tests. */
  static create(): Network {
    const network = Network.make();
    afterAll(async () => {
      await network.dispose();
    });
    return network;
  }

  /** The caller disposes of it. */
  static make(): Network {
    requirePods();
    const network = new Network();
    network.#build();
    return network;
  }

  /** Pods get .1, .2, … in order of creation. */
  pod(): Pod {
    const host = this.#pods.length + 1;
    const namespace = `${this.#name}p${host}`;
    const link = `p${host}`;
    const bridge = `${this.#name}br`;
    ip("netns", "add", namespace);
    ip(
      "-n",
      bridge,
      "link",
      "add",
      link,
      "type",
      "veth",
      "peer",
      "name",
      "eth0",
      "netns",
      namespace,
    );
    ip("-n", bridge, "link", "set", link, "master", "br0", "up");
    const pod = new Pod(namespace, host);
    this.#pods.push(pod);
    for (const args of [
      ["link", "set", "lo", "up"],
      ["addr", "add", `${pod.address4}/24`, "dev", "eth0"],
      ["addr", "add", `${pod.address6}/64`, "dev", "eth0", "nodad"],
      ["link", "set", "eth0", "up"],
    ])
      ip("-n", namespace, ...args);
    return pod;
  }

  /** Runs a program in the bridge's namespace, like on a node. */
  async node(command: readonly string[], input = ""): Promise<Output> {
    return await runIn(`${this.#name}br`, command, input);
  }

  /** Disconnects a pod from the bridge, or connects it again. */
  plug(pod: Pod, isIn: boolean): void {
    const link = `p${this.#pods.indexOf(pod) + 1}`;
    ip("-n", `${this.#name}br`, "link", "set", link, isIn ? "up" : "down");
  }

  /** Ends all processes in the pods, and removes the pods. */
  async dispose(): Promise<void> {
    for (const pod of this.#pods.splice(0)) {
      await pod.dispose();
      ip("netns", "del", pod.namespace);
    }
    ip("netns", "del", `${this.#name}br`);
  }

  #build(): void {
    ip("netns", "add", `${this.#name}br`);
    ip("-n", `${this.#name}br`, "link", "add", "br0", "type", "bridge");
    ip("-n", `${this.#name}br`, "link", "set", "br0", "up");
  }
}

export class Pod {
  readonly namespace: string;
  readonly address4: string;
  readonly address6: string;
  readonly #running: Bun.Subprocess[] = [];
  #agent: Agent | null = null;

  constructor(namespace: string, host: number) {
    this.namespace = namespace;
    this.address4 = `10.77.0.${host}`;
    this.address6 = `fd77::${host}`;
  }

  /** Runs a program in the pod until it ends. */
  async run(command: readonly string[], input = ""): Promise<Output> {
    return await runIn(this.namespace, command, input);
  }

  /** Starts a program in the pod; it ends at the latest with the pod. */
  start(command: readonly string[], environment: Record<string, string> = {}): Running {
    const child = Bun.spawn(this.#inside(command), {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, ...environment },
    });
    this.#running.push(child);
    return new Running(child);
  }

  /** Starts a proxy in the pod and waits until it logs that it is ready. */
  async proxy(
    options: readonly string[],
    prefix: readonly string[] = [],
    ready = /\] ready/,
  ): Promise<Running> {
    const run = async (command: readonly string[]): Promise<Output> => await this.run(command);
    const more = await externalRules(run, { program: executable(), options, prefix });
    const running = this.start([...prefix, ...executable(), ...options, ...more]);
    await running.says(ready);
    return running;
  }

  /** Starts unwanted peers (crowd.ts), `width` at once. */
  crowd(kind: string, count: number, width: number, ...args: readonly string[]): Crowd {
    const script = `${import.meta.dir}/crowd.ts`;
    return new Crowd(this.start(["bun", script, kind, String(count), String(width), ...args]));
  }

  /** The pod's application: sockets driven by the test. */
  get agent(): Agent {
    this.#agent ??= this.anotherAgent();
    return this.#agent;
  }

  /** Another application, in a process of its own that may be killed. */
  anotherAgent(): Agent {
    const child = Bun.spawn(this.#inside(["bun", `${import.meta.dir}/agent.ts`]), {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    this.#running.push(child);
    return new Agent(child);
  }

  async dispose(): Promise<void> {
    for (const child of this.#running) child.kill("SIGKILL");
    await Promise.all(this.#running.map((child) => child.exited));
  }

  #inside(command: readonly string[]): string[] {
    return ["ip", "netns", "exec", this.namespace, ...command];
  }
}

/** A running program, with all its output. */
export class Running {
  readonly child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  output = "";
  #waiting: (() => void)[] = [];
  #ended = false;

  constructor(child: Bun.Subprocess<"ignore", "pipe", "pipe">) {
    this.child = child;
    void Promise.all([this.#read(child.stdout), this.#read(child.stderr)]).then(() => {
      this.#ended = true;
      this.#wake();
    });
  }

  get pid(): number {
    return this.child.pid;
  }

  /** Waits for output that matches; throws if the program ends before. */
  async says(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = pattern.exec(this.output);
      if (found !== null) return found[0];
      if (this.#ended) throw new Error(`ended without saying ${pattern}:\n${this.output}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Sends a signal and waits for the end; returns the exit code. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<number> {
    this.child.kill(signal);
    return await this.child.exited;
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this.output += decoder.decode(chunk, { stream: true });
      this.#wake();
    }
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}

export type CrowdEnd = {
  readonly endings: Readonly<Record<string, number>>;
  readonly bytes: number;
};

export class Crowd {
  readonly running: Running;

  constructor(running: Running) {
    this.running = running;
  }

  /** Waits until all simultaneous connections are open. */
  async standing(): Promise<void> {
    await this.running.says(/^standing$/m);
  }

  /** Waits until the last one has ended. */
  async end(): Promise<CrowdEnd> {
    return JSON.parse(await this.running.says(/^\{.*\}$/m)) as CrowdEnd;
  }
}

async function runIn(
  namespace: string,
  command: readonly string[],
  input: string,
): Promise<Output> {
  const child = Bun.spawn(["ip", "netns", "exec", namespace, ...command], {
    stdin: new TextEncoder().encode(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, stdout, stderr] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code, stdout, stderr };
}

/** The pods' TCP sockets that are neither listening nor in TIME_WAIT, once their number is stable. */
export async function socketsLeft(
  pods: readonly Pod[],
  spared: RegExp | null = null,
): Promise<string[]> {
  let left: string[] = [];
  for (let look = 0; look < 400; look += 1) {
    left = [];
    for (const pod of pods) {
      const { stdout } = await pod.run([
        "ss",
        "-Htan",
        "state",
        "connected",
        "exclude",
        "time-wait",
      ]);
      const lines = stdout.split("\n").filter((line) => line !== "");
      left.push(...lines.filter((line) => spared?.test(line) !== true));
    }
    if (left.length === 0) return left;
  }
  return left;
}

/** The program under test: the compiled one if the gate built it, else the sources. */
export function executable(): readonly string[] {
  const built = process.env["TPROXY_EXECUTABLE"];
  return built === undefined ? ["bun", `${import.meta.dir}/../../src/main.ts`] : [built];
}

/** The compiled program, for tests of what only it does. */
export function builtExecutable(): string {
  const built = process.env["TPROXY_EXECUTABLE"] ?? `${import.meta.dir}/../../bin/tproxy`;
  if (!existsSync(built)) throw new Error(`no ${built}: run scripts/build.sh`);
  return built;
}

function ip(...args: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["ip", ...args]);
  if (exitCode !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr.toString()}`);
}

/** More than the pid: a killed process with the same pid may have left its namespaces. */
const prefix = `tp${process.pid}-${randomBytes(3).toString("hex")}`;
let serial = 0;
