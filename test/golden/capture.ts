/**
 * Regenerates the golden files from what nft, ip and ss send: `bun test/golden/capture.ts` as root, with nft 1.0.6,
 * iproute2 6.1.0 (Debian 12) and strace. Each program runs in its own network namespace.
 */
import type { Request } from "../../src/netlink/socket.ts";
import { planText } from "../../src/intercept/rules/text.ts";
import { changedTable, changes } from "../support/changes.ts";
import { routing, sockets } from "../support/commands.ts";
import { lineOf, readNftDebug, readStrace, type Bytes } from "../support/message-lines.ts";
import { plans } from "../support/plans.ts";

for (const [name, plan] of Object.entries(plans)) {
  const text = planText(plan);
  const ruleset = text.slice(text.indexOf("table inet"), text.indexOf("\nEND"));
  const head = `# sed '/^table/,/^}/!d' ${name}.sh | nft --debug=mnl -f -   (nft 1.0.6)\n`;
  const messages = readNftDebug(run(["nft", "--debug=mnl", "-f", "-"], ruleset));
  await Bun.write(`${import.meta.dir}/${name}.sh`, text);
  await Bun.write(`${import.meta.dir}/${name}.hex`, head + linesOf(messages));
}

const trace = "strace -xx -e trace=sendmsg -e write=all";
const sockDestroy = 21;
/** In struct inet_diag_req_v2; each socket has another one. */
const cookie = [48, 56] as const;

await write("changes.hex", changes, (command) => {
  const script = `nft '${changedTable}' && nft --debug=mnl '${command}'`;
  return [`nft ${command}`, readNftDebug(run(["sh", "-c", script]))];
});

// Without ip's first request, about the interface. What is deleted must exist before.
await write("ip.hex", routing, (command) => {
  const before = command.replace(" del ", " add ");
  const prepare = before === command ? ":" : `ip ${before}`;
  const script = `ip link set lo up && ${prepare} && ${trace} ip ${command}`;
  return [`ip ${command}`, readStrace(run(["sh", "-c", script])).slice(-1)];
});

// Without ss's first request, about all sockets.
await write("destroy.hex", sockets, (command) => {
  const [, address = ""] = /src \[?([\d.a-f:]+)/.exec(command) ?? [];
  const program = `${import.meta.dir}/../support/connected.ts`;
  const connected = `bun ${program} ${address} '${trace} ss ${command}'`;
  const script = `ip link set lo up && ip addr add ${address} dev lo && ${connected}`;
  const sent = readStrace(run(["sh", "-c", script])).find(({ type }) => type === sockDestroy);
  if (sent === undefined) throw new Error(`ss ${command} destroys nothing`);
  sent.body.fill(0, ...cookie);
  return [`ss ${command}`, [sent]];
});

/** Writes each command as a comment, and below it what the program sends. */
async function write(
  file: string,
  commands: readonly (readonly [command: string, request: Request])[],
  capture: (command: string) => readonly [about: string, messages: readonly Bytes[]],
): Promise<void> {
  const captured = commands.map(([command]) => capture(command));
  const texts = captured.map(([about, messages]) => `# ${about}\n${linesOf(messages)}`);
  await Bun.write(`${import.meta.dir}/${file}`, texts.join(""));
}

/** The output of a command in a new network namespace. Throws if it fails. */
function run(command: readonly string[], stdin = ""): string {
  const inside = ["unshare", "--net", ...command];
  const { exitCode, stdout, stderr } = Bun.spawnSync(inside, { stdin: Buffer.from(stdin) });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString()}`);
  return stdout.toString() + stderr.toString();
}

function linesOf(messages: readonly Bytes[]): string {
  return messages.map((one) => `${lineOf(one)}\n`).join("");
}
