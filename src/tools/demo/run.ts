/** The demo, outside and inside its namespaces. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";

import { SystemCallError } from "../../native/errno.ts";
import { ProxyError } from "../../runtime/errors.ts";
import * as namespaces from "../namespaces.ts";
import { DemoCredentials } from "./credentials.ts";
import { perform, setStage } from "./director.ts";
import { Transcript } from "./transcript.ts";

/**
 * Starts `inside`, a command that calls `demoInside`, in new namespaces, waits for its end, and checks that nothing is
 * left. `shown`: the command line for users that starts this program. Throws DEMO_FAILED.
 */
export function demoOutside(inside: readonly string[], shown: string): void {
  const before = traces();
  const status = namespaces.wait(start(inside));
  const transcript = new Transcript(write, hasColour());
  transcript.heading("Afterwards");
  const good = traces() === before;
  const seen = good ? "nothing" : "something";
  transcript.line({ title: "interfaces, mounts and files left", expected: "nothing", seen, good });
  write(status === 0 && good ? next(shown) : "\nNot everything was as expected.\n");
  process.exitCode = status === 0 && good ? 0 : 1;
}

/** Throws DEMO_FAILED with the remedy where namespaces are not to be had. */
function start(command: readonly string[]): number {
  const { user, network, mount, pid } = namespaces.newNamespace;
  const environment = { PATH: process.env["PATH"] ?? "", NO_COLOR: hasColour() ? "" : "1" };
  try {
    return namespaces.enter({
      flags: user | network | mount | pid,
      output: 1,
      arguments: command,
      environment,
    });
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    const text = `no namespaces for the demo (${error.message}). It needs user namespaces (${knobs}).`;
    throw new ProxyError("DEMO_FAILED", text, { cause: error });
  }
}

/**
 * The first process of the new namespaces: when it ends, everything in them ends. `self`: the command that starts
 * this program.
 */
export async function demoInside(self: readonly string[], set = setStage): Promise<void> {
  const transcript = new Transcript(write, (process.env["NO_COLOR"] ?? "") === "");
  const began = performance.now();
  write("Two pods and a host without a proxy, in namespaces of their own on this machine.\n");
  namespaces.makeMountsPrivate();
  const directory = memoryDirectory(self);
  const remotes = await set(self);
  const credentials = new DemoCredentials(directory);
  await perform({ transcript, remotes, credentials });
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const { shown, failed } = transcript;
  write(`\n${shown - failed} of ${shown} lines as expected, in ${seconds} s.\n`);
  process.exitCode = failed === 0 ? 0 : 1;
}

/** Memory in place of a folder that this executable does not lie in; keys never touch a disk. */
function memoryDirectory(self: readonly string[]): string {
  for (const folder of memoryFolders) {
    if (self.some((part) => part.startsWith(`${folder}/`))) continue;
    try {
      namespaces.mountMemory(folder);
      mkdirSync(`${folder}/demo`, { mode: 0o700 });
      return `${folder}/demo`;
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
    }
  }
  const text = `no folder to mount memory over (${memoryFolders.join(", ")})`;
  throw new ProxyError("DEMO_FAILED", text);
}

/** What a demo could leave on a machine, and nothing that comes and goes on it otherwise. */
function traces(): string {
  const interfaces = readFileSync("/proc/self/net/dev", "latin1").match(/^ *cable-[^:]+/gm);
  const mounts = readFileSync("/proc/self/mountinfo", "latin1").split("\n");
  const memory = mounts.filter((line) =>
    memoryFolders.some((folder) => line.includes(` ${folder} `)),
  );
  const temporary = existsSync("/tmp") ? readdirSync("/tmp") : [];
  const files = temporary.filter((name) => /libtproxy|^demo/.test(name));
  return JSON.stringify([interfaces, memory, files]);
}

/** Commands that work as printed, whether the program is installed or was just built. */
function next(self: string): string {
  const commands = [
    [`${self} help kubernetes`, "run it in a cluster"],
    [`${self} help containers`, "run it with Docker"],
    [`${self} help host`, "run it on two machines"],
    [`${self} --help`, "all commands and options"],
  ] as const;
  const width = Math.max(...commands.map(([command]) => command.length));
  const lines = commands.map(([command, what]) => `  ${command.padEnd(width)}    ${what}\n`);
  return `\nNext:\n${lines.join("")}`;
}

function hasColour(): boolean {
  return process.stdout.isTTY && (process.env["NO_COLOR"] ?? "") === "";
}

function write(text: string): void {
  process.stdout.write(text);
}

/** The last two are there in an empty container as well. */
const memoryFolders = ["/mnt", "/media", "/srv", "/opt", "/tmp", "/etc", "/sys"];
const knobs =
  "sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces, or an AppArmor rule";
