/**
 * Pods as a container runtime makes them: a pause container that holds the network, an application without any
 * privilege, and the proxy from the image under test with only the privileges that the manual promises.
 */
import { afterAll, setDefaultTimeout } from "bun:test";
import { chmodSync } from "node:fs";

import { Agent } from "./application.ts";
import { BridgeCapture } from "./bridge-capture.ts";
import {
  docker,
  imageUnderTest,
  label,
  requireEngine,
  toolsImage,
  transient,
  tryDocker,
} from "./docker.ts";
import { withoutClients } from "./kernel-state.ts";
import { builtExecutable, Running, type Output } from "./pods.ts";
import { temporaryDirectory } from "./temporary.ts";

/** The sidecar's privileges, and nothing else. */
export const sidecarPrivileges: readonly string[] = words(
  "--cap-drop ALL --cap-add NET_ADMIN --cap-add NET_RAW --read-only --security-opt no-new-privileges",
);

const applicationPrivileges: readonly string[] = words(
  "--user 1000:1000 --cap-drop ALL --security-opt no-new-privileges",
);

/** curl's exit codes for a reset connection: the reset may arrive while curl is still connecting. */
export const resetCodes: readonly number[] = [7, 56];

/** Every pod's application listens here, on all addresses. */
export const applicationPort = 8080;

export type ClusterOptions = {
  /** Address ranges in which `%` becomes a number that no other network uses. */
  readonly range4?: string;
  readonly range6?: string;
};

/** A bridge network with IPv4 and IPv6 and its pods. Removed after the file's tests. */
export class Cluster {
  /** Name of the network, and of its bridge in the engine's own network namespace. */
  readonly name: string;
  /** The prefix of its addresses. */
  readonly prefix: Addresses;
  readonly #tools: string;
  readonly #pods: Pod[] = [];
  readonly #credentials = temporaryDirectory();

  private constructor(name: string, tools: string, prefix: Addresses) {
    this.name = name;
    this.#tools = tools;
    this.prefix = prefix;
  }

  /** Call it while the file is loaded: it also sets the time-outs. */
  static async create(options: ClusterOptions = {}): Promise<Cluster> {
    setDefaultTimeout(testMsMax);
    await requireEngine();
    const tools = await toolsImage();
    // Also an interface name: 15 characters at most.
    const name = `tp${process.pid.toString(36)}x${(serial += 1)}`;
    const cluster = new Cluster(name, tools, await makeNetwork(name, options));
    afterAll(async () => {
      await cluster.#dispose();
    }, testMsMax);
    return cluster;
  }

  /** A pod with an application that answers `hello from NAME`, and `/clientip`; no proxy yet. */
  async pod(name: string, pauseOptions: readonly string[] = []): Promise<Pod> {
    const host = this.#pods.length + 10;
    const addresses = {
      address4: `${this.prefix.address4}.${host}`,
      address6: `${this.prefix.address6}::${host}`,
    };
    const pod = new Pod(`${this.name}-${name}`, name, this.#tools, addresses);
    this.#pods.push(pod);
    await pod.build(this.name, pauseOptions);
    return pod;
  }

  /** Runs a program on the engine's host, outside all pods, like a cluster's node. */
  async node(...command: readonly string[]): Promise<Output> {
    return await tryDocker(...transient, "--network", "host", this.#tools, ...command);
  }

  /** Starts to capture every frame between this network's pods. */
  async capture(): Promise<BridgeCapture> {
    return await BridgeCapture.start(this.name, this.#tools);
  }

  /** /proc/1/status of a container without a shell. */
  async status(container: Container): Promise<ReadonlyMap<string, string>> {
    const where = ["--pid", `container:${container.name}`, "--network", "none"];
    const text = await docker(...transient, ...where, this.#tools, "cat", "/proc/1/status");
    const fields = text.matchAll(/^(\w+):\s*(.*)$/gm);
    return new Map([...fields].map(([, key = "", value = ""]) => [key, value]));
  }

  /** Files for a pod, made by `tls-tproxy certs` with one CA; for its addresses unless `names` is given. */
  certificate(pod: Pod, names?: readonly string[]): string {
    const folder = `${pod.title}${(serial += 1)}`;
    const id = `spiffe://cluster.local/ns/default/sa/${pod.title}`;
    const whom = names ?? ["--id", id, "--ip", `${pod.address4},${pod.address6}`];
    const command = [builtExecutable(), "certs", "--out", this.#credentials, "--name", folder];
    const { exitCode, stderr } = Bun.spawnSync([...command, ...whom]);
    if (exitCode !== 0) throw new Error(`tproxy certs: ${stderr.toString()}`);
    const directory = `${this.#credentials}/${folder}`;
    // The files belong to the user who runs the tests; the container's root without capabilities needs world-readable
    // ones.
    for (const file of ["tls.crt", "tls.key", "ca.crt"]) chmodSync(`${directory}/${file}`, 0o644);
    chmodSync(directory, 0o755);
    return directory;
  }

  async #dispose(): Promise<void> {
    await Promise.all(this.#pods.map(async (pod) => await pod.dispose()));
    await tryDocker("network", "rm", this.name);
  }
}

type Addresses = { readonly address4: string; readonly address6: string };

export type ProxyOptions = {
  /** Options of the program, in addition to the credentials. */
  readonly options?: readonly string[];
  /** Flags of `docker run`, in addition to the privileges. */
  readonly run?: readonly string[];
  readonly privileges?: readonly string[];
  readonly credentials: string;
};

export class Pod {
  readonly title: string;
  readonly address4: string;
  readonly address6: string;
  readonly pause: Container;
  readonly application: Container;
  readonly #containers: Container[] = [];
  readonly #tools: string;
  readonly #name: string;

  constructor(name: string, title: string, tools: string, addresses: Addresses) {
    this.#name = name;
    this.#tools = tools;
    this.title = title;
    this.address4 = addresses.address4;
    this.address6 = addresses.address6;
    this.pause = new Container(`${name}-pause`);
    this.application = new Container(`${name}-app`);
    this.#containers.push(this.pause, this.application);
  }

  /** Creates the pause container and starts the application; resolves when it serves. */
  async build(network: string, pauseOptions: readonly string[]): Promise<void> {
    const place = ["--network", network, "--ip", this.address4, "--ip6", this.address6];
    const hosts = ["--network-alias", this.title, "--hostname", this.title];
    await this.pause.run([...place, ...hosts, ...pauseOptions], this.#tools, ["sleep", "infinity"]);
    const script = server.replace("NAME", this.title);
    const inside = [...this.#inside, ...applicationPrivileges];
    await this.application.run(inside, this.#tools, ["bun", "-e", script]);
    await this.application.says(/serving/);
  }

  /** Starts the sidecar from the image under test, without waiting. */
  async sidecar(command: ProxyOptions): Promise<Container> {
    const container = new Container(`${this.#name}-proxy${this.#containers.length}`);
    this.#containers.push(container);
    const { privileges = sidecarPrivileges, run = [], options = [], credentials } = command;
    const volume = ["--volume", `${credentials}:/certs:ro`];
    await container.run([...this.#inside, ...privileges, ...volume, ...run], imageUnderTest(), [
      ...flags,
      ...options,
    ]);
    return container;
  }

  /** Starts the sidecar and waits until it logs that it is ready. */
  async proxy(command: ProxyOptions): Promise<Container> {
    const container = await this.sidecar(command);
    await container.says(/\] ready/);
    return container;
  }

  /** Runs the program under test once, to its end, as an init container would. */
  async once(command: readonly string[], privileges: readonly string[]): Promise<string> {
    const inside = [...this.#inside, ...privileges];
    return await docker(...transient, ...inside, imageUnderTest(), ...command);
  }

  /** Runs a command as the application's user in the application's container. */
  async exec(...command: readonly string[]): Promise<Output> {
    return await tryDocker("exec", this.application.name, ...command);
  }

  /** curl as the application would; the body is the output. */
  async curl(...options: readonly string[]): Promise<Output> {
    return await this.exec("curl", "--silent", "--show-error", "--max-time", "20", ...options);
  }

  /** Starts a program of the application, and reads its output. */
  start(...command: readonly string[]): Running {
    return follow(["exec", "--interactive", this.application.name, ...command]);
  }

  /** Sockets in the application's container that the test drives. */
  agent(): Agent {
    const child = Bun.spawn(
      ["docker", "exec", "--interactive", this.application.name, "bun", "/tests/agent.ts"],
      { stdin: "pipe", stdout: "pipe", stderr: "inherit" },
    );
    return new Agent(child);
  }

  /** Copies a folder into the application's container, readable by its user. */
  async copy(directory: string, path: string): Promise<void> {
    await docker("cp", directory, `${this.application.name}:${path}`);
  }

  /** The state of the pod's network that our rules could change. */
  async rules(): Promise<string> {
    // With full paths: busybox's shell would use its own applets.
    const commands = ["nft -s list ruleset", "/bin/ip rule", "/bin/ip -6 rule"];
    for (const family of ["-4", "-6"]) commands.push(`/bin/ip ${family} route show table 29808`);
    return withoutClients(await this.look("sh", "-ec", commands.join("; ")));
  }

  /** An administrator's view of the pod's network: `nft list ruleset` and the like. */
  async look(...command: readonly string[]): Promise<string> {
    const inside = [...this.#inside, "--cap-add", "NET_ADMIN"];
    return await docker(...transient, ...inside, this.#tools, ...command);
  }

  async dispose(): Promise<void> {
    const names = this.#containers.toReversed().map(({ name }) => name);
    await tryDocker("rm", "--force", "--volumes", ...names);
  }

  get #inside(): readonly string[] {
    return ["--network", `container:${this.pause.name}`];
  }
}

/** One container, with all its output since its last start. */
export class Container {
  readonly name: string;
  #log: Running | null = null;

  constructor(name: string) {
    this.name = name;
  }

  async run(options: readonly string[], image: string, command: readonly string[]): Promise<void> {
    const flagsOfIt = ["--detach", "--pull", "never", "--label", `${label}=${process.pid}`];
    await docker("run", ...flagsOfIt, "--name", this.name, ...options, image, ...command);
    this.#log = follow(["logs", "--follow", this.name]);
  }

  get output(): string {
    return this.#log?.output ?? "";
  }

  /** Waits for output that matches; throws if the container ends before. */
  async says(pattern: RegExp): Promise<string> {
    if (this.#log === null) throw new Error(`${this.name} was never started`);
    return await this.#log.says(pattern);
  }

  /** Starts it again after an end. */
  async start(): Promise<void> {
    // Not since StartedAt: the engine may record that after the first output.
    const since = await this.inspect("{{.State.FinishedAt}}");
    await docker("start", this.name);
    this.#log = follow(["logs", "--follow", "--since", since, this.name]);
  }

  /** Stops it as a runtime does, SIGTERM and after `seconds` SIGKILL; returns its exit code. */
  async stop(seconds = 10): Promise<number> {
    await docker("stop", "--time", String(seconds), this.name);
    return await this.ended();
  }

  /** Sends a signal and waits for the end. */
  async kill(signal: string): Promise<number> {
    await docker("kill", "--signal", signal, this.name);
    return await this.ended();
  }

  /** Waits for the end, and until all its output is read; returns its exit code. */
  async ended(): Promise<number> {
    const code = Number(await docker("wait", this.name));
    await this.#log?.child.exited;
    return code;
  }

  async inspect(format: string): Promise<string> {
    return await docker("inspect", "--format", format, this.name);
  }
}

function follow(args: readonly string[]): Running {
  return new Running(
    Bun.spawn(["docker", ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" }),
  );
}

/** Creates a network with the first number that no other network uses. */
async function makeNetwork(
  name: string,
  { range4 = "10.88.%", range6 = "fd88:%" }: ClusterOptions,
): Promise<Addresses> {
  for (let number = 1; number < 250; number += 1) {
    const address4 = range4.replace("%", String(number));
    const address6 = range6.replace("%", String(number));
    const ranges = ["--ipv6", "--subnet", `${address4}.0/24`, "--subnet", `${address6}::/64`];
    const bridge = ["--opt", `com.docker.network.bridge.name=${name}`];
    const marks = ["--label", `${label}=${process.pid}`];
    const { code, stderr } = await tryDocker(
      "network",
      "create",
      ...marks,
      ...bridge,
      ...ranges,
      name,
    );
    if (code === 0) return { address4, address6 };
    if (!/overlap|conflict/i.test(stderr)) throw new Error(`docker network create: ${stderr}`);
  }
  throw new Error("every range for a network is taken");
}

function words(text: string): string[] {
  return text.split(" ");
}

let serial = 0;
const testMsMax = 60_000;
const flags = ["-cert", "/certs/tls.crt", "-key", "/certs/tls.key", "-ca-cert", "/certs/ca.crt"];

/** An HTTP application without TLS. */
const server =
  `Bun.serve({ port: ${applicationPort}, hostname: "::", fetch: (request, server) => ` +
  `new Response(new URL(request.url).pathname === "/clientip" ? server.requestIP(request).address : "hello from NAME\\n") });` +
  `console.log("serving");`;
