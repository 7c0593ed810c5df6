/**
 * Certificates with wrong claims: each is refused with its own reason, as client and as server; valid ones are
 * accepted.
 */
import { beforeAll, expect, test } from "bun:test";

import type { AgentSocket } from "../support/application.ts";
import { craft, written, type Shown } from "../support/crafted.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import type { Pod, Running } from "../support/pods.ts";
import { metrics } from "../support/status.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import {
  root,
  unusual,
  wrongChains,
  wrongNames,
  wrongUses,
  type Presented,
} from "../support/wrong-certificates.ts";

const mesh = Mesh.create();
const wrong = [...wrongNames, ...wrongUses, ...wrongChains];
const authority = written(root).certificate;
const good = memberNamed("good");
const members = [
  [mesh.a, memberNamed("a")],
  [mesh.b, memberNamed("b")],
] as const;
let portBefore = 9000;

beforeAll(async () => {
  for (const [pod, shown] of members)
    mesh.proxies.push(await pod.proxy(flagsOf({ ...shown, authority, directory: "" })));
});

test.each(wrong)("a client whose certificate %s is refused", async (_, make, reason, says) => {
  const port = nextPort();
  const listener = await mesh.b.agent.listen("::", port);
  const before = await failures(mesh.b, "inbound");
  const first = listener.accept();
  await Promise.race([speak(port, shownBy(make("client")), "from a bad one!"), first]);
  expect(await failures(mesh.b, "inbound")).toEqual(more(before, reason));
  // The first data that reaches the application comes from a valid client.
  const speaking = speak(port, good, "from a good one");
  expect(await heardBy(await first)).toBe("from a good one");
  await speaking;
  const line = await mesh.proxies[1]?.says(
    new RegExp(
      `Refused connection from ${mesh.c.address4}:\\d+ to \\[${mesh.b.address4}:${port}\\]: .*`,
    ),
  );
  expect(line).toContain(says.replace("ROLE", "client"));
});

test.each(unusual)("a client whose certificate %s is served", async (_, make) => {
  const port = nextPort();
  const listener = await mesh.b.agent.listen("::", port);
  const before = await failures(mesh.b, "inbound");
  const speaking = speak(port, shownBy(make("client")), "from a good one");
  const application = await Promise.race([listener.accept(), speaking]);
  expect(await failures(mesh.b, "inbound")).toEqual(before);
  expect(await heardBy(application)).toBe("from a good one");
  await speaking;
});

test.each(wrong)("a server whose certificate %s is refused", async (_, make, reason, says) => {
  const port = nextPort();
  const shown = shownBy(make("server"));
  const server = await serve(port, shown);
  const before = await failures(mesh.a, "outbound");
  const heard = server.says(/for a good one/).catch(() => "nothing");
  await Promise.race([confide(port), heard]);
  expect(await heard).toBe("nothing");
  const line = await mesh.proxies[0]?.says(
    new RegExp(`Failed to connect to original destination \\[${mesh.c.address4}:${port}\\]: .*`),
  );
  expect(line).toContain(says.replace("ROLE", "server"));
  expect(await failures(mesh.a, "outbound")).toEqual(more(before, reason));
  // A new connection: Bun reports no reset to a socket that writes after it.
  const again = nextPort();
  await serve(again, shown);
  expect(await mesh.a.agent.attempt(mesh.c.address4, again)).toBe("ECONNRESET");
});

test.each(unusual)("a server whose certificate %s is reached", async (_, make) => {
  const port = nextPort();
  const server = await serve(port, shownBy(make("server")));
  const client = await mesh.a.agent.connect(mesh.c.address4, port);
  await client.say("for a good one\n");
  await server.says(/for a good one/);
  await client.end();
  await server.child.exited;
});

/** The first data that an application receives, after which it ends the connection; null if no connection came. */
async function heardBy(application: AgentSocket | void): Promise<string | null> {
  if (application === undefined) return null;
  const { text } = await application.received(15);
  await application.end();
  return text;
}

/** openssl s_client in pod c: sends the text, and ends when the server does. */
async function speak(port: number, shown: Shown, text: string): Promise<void> {
  const connect = ["openssl", "s_client", "-connect", `${mesh.b.address4}:${port}`, "-quiet"];
  await mesh.c.run(["timeout", "10", ...connect, ...flagsFor(shown)], text);
}

/** The application in pod a sends a secret that only a valid server may receive, and waits for either kind of end. */
async function confide(port: number): Promise<void> {
  try {
    const client = await mesh.a.agent.connect(mesh.c.address4, port);
    await client.say("for a good one\n");
    await client.finish();
  } catch {
    // Reset before it could send anything.
  }
}

/**
 * openssl s_server in pod c for one connection: prints what it receives. Its stdin stays open, because EOF would end
 * it.
 */
async function serve(port: number, shown: Shown): Promise<Running> {
  const accept = ["openssl", "s_server", "-accept", `${port}`, "-naccept", "1"];
  const verify = ["-CAfile", authority, "-Verify", "3", "-verify_return_error"];
  const command = [...accept, ...verify, ...flagsFor(shown)];
  const stdin = `${temporaryDirectory()}/stdin`;
  await mesh.c.run(["mkfifo", stdin]);
  const server = mesh.c.start(["sh", "-c", 'exec "$@" 0<>"$0"', stdin, ...command]);
  await server.says(/ACCEPT/);
  return server;
}

function flagsFor({ certificate, key, chain }: Shown): readonly string[] {
  const above = chain === null ? [] : ["-cert_chain", chain];
  return ["-cert", certificate, "-key", key, ...above];
}

/** Failed handshakes by reason. */
async function failures(
  pod: Pod,
  direction: "inbound" | "outbound",
): Promise<Readonly<Record<string, number>>> {
  const name = `tproxy_handshake_failures_total{direction="${direction}",reason="`;
  const found = [...(await metrics(pod))].filter(([key]) => key.startsWith(name));
  return Object.fromEntries(found.map(([key, count]) => [key.slice(name.length, -2), count]));
}

function more(
  before: Readonly<Record<string, number>>,
  reason: string,
): Readonly<Record<string, number>> {
  return { ...before, [reason]: (before[reason] ?? Number.NaN) + 1 };
}

function shownBy({ leaf, chain }: Presented): Shown {
  return written(leaf, chain);
}

function memberNamed(name: string): Shown {
  return shownBy({ leaf: craft(root, { spiffeId: `spiffe://test.example/${name}` }) });
}

function nextPort(): number {
  return (portBefore += 1);
}
