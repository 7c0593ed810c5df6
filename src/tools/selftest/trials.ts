/** Tries everything that this executable needs of the machine: nothing is changed, nothing is left behind. */
import { createHash, generateKeyPairSync, sign, verify } from "node:crypto";
import { lookup } from "node:dns/promises";
import { existsSync } from "node:fs";

import { Deadline } from "../../runtime/deadline.ts";
import { readRegularFile } from "../../runtime/files.ts";
import { abiVersion } from "../../native/abi.ts";
import * as native from "../../native/native.ts";
import { abiVersionInWorker } from "../../native/worker.ts";
import { parseSocketAddress } from "../../net/address.ts";
import * as route from "../../netlink/route.ts";
import { protocol, kernel } from "../../netlink/socket.ts";
import { openListening } from "../../net/listener.ts";
import type { selftestTitles } from "../check/titles.ts";
import { shakeHands } from "./handshakes.ts";
import { trialMsMax, within } from "./within.ts";

export type Trial = {
  readonly id: keyof typeof selftestTitles;
  /** Resolves with what was observed. Rejects with what is wrong. */
  readonly run: () => Promise<string>;
};

export type TrialOptions = {
  /** The command that starts this executable. */
  readonly self: readonly string[];
  readonly handshakes: number;
  readonly progress: (done: number) => void;
};

export function trialsOf(options: TrialOptions): readonly Trial[] {
  const { self, handshakes, progress } = options;
  const trials: readonly Trial[] = [
    { id: "shim", run: tryShim },
    { id: "shim-in-worker", run: tryWorker },
    { id: "timers", run: tryTimers },
    { id: "cryptography", run: tryCryptography },
    { id: "tcp-loopback", run: tryTcp },
    { id: "hosts-file", run: tryNames },
    { id: "netlink", run: tryNetlink },
    { id: "own-start", run: async () => await trySelf(self) },
  ];
  return [
    ...trials.map(({ id, run }) => ({ id, run: async () => await within(trialMsMax, run) })),
    {
      id: "mutual-tls",
      run: async () => await tryHandshakes(handshakes, progress),
    },
  ];
}

async function tryShim(): Promise<string> {
  const fd = openListening(
    parseSocketAddress("127.0.0.1:0"),
    { socketOptions: { mark: null, keepAliveMsMax: null, userTimeoutMsMax: null }, backlogMax: 1 },
    false,
  );
  const state = native.tcpState(fd);
  native.close(fd);
  if (state !== "listen") throw new Error(`a listening socket says that it is ${state}`);
  return await Promise.resolve(`ABI ${abiVersion}`);
}

async function tryWorker(): Promise<string> {
  const version = await abiVersionInWorker();
  if (version !== abiVersion) throw new Error(`it speaks ABI ${version}`);
  return `ABI ${version}`;
}

async function tryTimers(): Promise<string> {
  const began = performance.now();
  await new Promise<void>((resolve) => new Deadline(20, resolve));
  const waited = performance.now() - began;
  if (waited < 19) throw new Error(`20 ms were ${waited.toFixed(1)} ms`);
  return `20 ms took ${waited.toFixed(1)} ms`;
}

async function tryCryptography(): Promise<string> {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const text = Buffer.from("tproxy");
  const digest = createHash("sha256").update(text).digest("hex");
  if (!digest.startsWith(digestOfTproxy)) throw new Error(`SHA-256 gives ${digest}`);
  const good = verify("sha256", text, publicKey, sign("sha256", text, privateKey));
  if (!good) throw new Error("a signature does not verify");
  return await Promise.resolve("P-256, SHA-256");
}

async function tryTcp(): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (socket, chunk) => void socket.write(chunk) },
  });
  const client = await Bun.connect({
    hostname: "127.0.0.1",
    port: listener.port,
    socket: {
      open: (socket) => void socket.write("x"),
      data: () => {
        resolve("a byte there and back");
      },
      close: () => {
        reject(new Error("closed before an answer"));
      },
    },
  });
  const seen = await promise;
  client.terminate();
  listener.stop(true);
  return seen;
}

/** Looks up the first name in the file; without the file there is nothing to look up. */
async function tryNames(): Promise<string> {
  if (!existsSync(hostsFile)) return "there is no such file here";
  const line = /^\s*([\d.:a-f]+)\s+([\w.-]+)/im.exec(
    readRegularFile(hostsFile, hostsBytesMax).toString("utf8"),
  );
  const [, address = "", name = ""] = line ?? [];
  if (name === "") return "it has no names";
  const found = (await lookup(name, { all: true })).map((one) => one.address);
  if (!found.includes(address)) throw new Error(`${name} is ${found.join(", ")}, not ${address}`);
  return `${name} is ${address}`;
}

async function tryNetlink(): Promise<string> {
  using conversation = kernel(protocol.route);
  const rules = conversation.exchange([route.listRoutingRules(4)]);
  if (rules.length === 0) throw new Error("the kernel has no routing rules");
  return await Promise.resolve(`${rules.length} routing rules`);
}

async function trySelf(self: readonly string[]): Promise<string> {
  const child = Bun.spawn([...self, "--version"], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  const [output, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  if (code !== 0 || !output.startsWith("tls-tproxy ")) throw new Error(`exit code ${code}`);
  return output.trim();
}

async function tryHandshakes(
  handshakes: number,
  progress: (done: number) => void,
): Promise<string> {
  const { done, early, late } = await shakeHands(handshakes, progress);
  const grown = late - early;
  const figures = `${done} handshakes, ${megabytes(early)} MB after a tenth of them, ${megabytes(late)} MB at the end`;
  if (grown > growthBytesMax) throw new Error(`memory grows: ${figures}`);
  return figures;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

const hostsFile = "/etc/hosts";
const hostsBytesMax = 1 << 20;
const digestOfTproxy = "d5ec34964cd7db17";
/** The most that garbage may grow to between two collections. */
const growthBytesMax = 48e6;
