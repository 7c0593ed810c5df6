/**
 * Conntrack forgets connections: entries expire (after 60 s if one side has ended its direction), or are flushed. A
 * diverted connection stays diverted, whatever strangers send, and an exempt one goes on.
 */
import { beforeAll, describe, expect, test } from "bun:test";

import type { AgentListener } from "../support/application.ts";
import { capture } from "../support/capture.ts";
import { serveHttp } from "../support/http.ts";
import { Mesh } from "../support/mesh.ts";
import type { Pod } from "../support/pods.ts";
import { curl } from "../support/programs.ts";

const injector = `${import.meta.dir}/../support/injector.ts`;
const forgetful = `${import.meta.dir}/../support/forget-connections.ts`;

async function forget(pod: Pod): Promise<void> {
  const { code, stderr } = await pod.run(["bun", forgetful]);
  expect([code, stderr]).toEqual([0, ""]);
}

/** Of the pod's application, whose only connection leads to this port. */
async function sourcePort(pod: Pod, port: number): Promise<string> {
  const { stdout } = await pod.run([
    "ss",
    "-Htn",
    "state",
    "established",
    "dport",
    "=",
    `:${port}`,
  ]);
  const [, own = ""] = /^\d+ +\d+ +\S+:(\d+) /m.exec(stdout) ?? [];
  expect(own).not.toBe("");
  return own;
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

/** TCP-MD5, RFC 2385: without a key for the sender, the kernel ignores such a segment and does not answer it. */
const unexpectedSignature = `1312${"00".repeat(16)}0101`;
const web = 8000;
/** The last source port of a connection of ours. */
let next = 40_000;

const scoped = ["--mesh-cidr", "10.77.0.0/24,fd77::/64"];
/** All of these leave answers from ephemeral ports in cleartext, if they belong to connections from outside. */
const configurations = [
  ["a pod, --exclude-inbound-port 1024-65535", ["--exclude-inbound-port", "1024-65535"]],
  ["a pod, --inbound-port 8080", ["--inbound-port", "8080"]],
  ["a host, --inbound-port 8080", ["--host", ...scoped, "--inbound-port", "8080"]],
  ["a host, --inbound-port none", ["--host", ...scoped, "--inbound-port", "none"]],
  [
    "a host, --exclude-uid 1234",
    ["--host", ...scoped, "--inbound-port", "8080", "--exclude-uid", "1234"],
  ],
  [
    "a pod, --exclude-uid 1234 --exclude-inbound-port 1024-65535",
    ["--exclude-uid", "1234", "--exclude-inbound-port", "1024-65535"],
  ],
] as const;

/** Flags of the segments that a stranger sends in the peer's name, in order. */
const strangers = [
  ["nothing", []],
  ["an ACK", ["0x10"]],
  ["a SYN", ["0x02"]],
  ["an ACK, then a SYN", ["0x10", "0x02"]],
  ["a SYN, then an ACK", ["0x02", "0x10"]],
  ["a SYN with ACK", ["0x12"]],
] as const;

describe.each(configurations)("%s", (_, options) => {
  const mesh = Mesh.create();
  const { a, b, c } = mesh;
  const port = 8080;
  let listening: AgentListener;

  beforeAll(async () => {
    await mesh.proxy(a);
    listening = await a.agent.listen("::", port);
    await mesh.proxy(b, options);
    await serveHttp(b, 2222, "exempt");
    await serveHttp(a, web, "web");
  });

  describe.each(["address4", "address6"] as const)("%s", (family) => {
    test.each(strangers)(
      "a diverted connection stays so if a stranger sends %s",
      async (__, flags) => {
        const client = await b.agent.connect(a[family], port);
        await client.say("first");
        const server = await listening.accept();
        await server.received(5);
        const own = await sourcePort(b, port);
        const { bytes, lines } = await capture(b, async () => {
          await forget(b);
          const [from, to] = [a[family], b[family]].map((one) => bracketed(one));
          for (const each of flags)
            await c.run(["bun", injector, `${from}:${port}`, `${to}:${own}`, "1", "1", "", each]);
          await client.say("second");
          await server.received(11);
        });
        expect(lines.length).toBeGreaterThan(1);
        expect(bytes.includes("second")).toBe(false);
        await client.end();
        await server.finish();
        await server.end();
        await client.finish();
      },
    );

    test.each(["0x10", "0x02"])(
      "a connection is diverted although a stranger has sent flags %s in the peer's name before",
      async (each) => {
        const [from, to] = [a[family], b[family]].map((one) => bracketed(one));
        const own = String((next += 1));
        const segment = [`${from}:${web}`, `${to}:${own}`, "1", "1", "", each, unexpectedSignature];
        await c.run(["bun", injector, ...segment]);
        const { bytes, lines } = await capture(b, async () => {
          const url = `http://${from}:${web}/in-cleartext`;
          const { stdout } = await b.run(["curl", "-s", "--local-port", own, url]);
          expect(stdout).toBe("web");
        });
        expect(lines.length).toBeGreaterThan(1);
        expect(bytes.includes("in-cleartext")).toBe(false);
      },
    );

    test("an exempt connection from outside goes on", async () => {
      const before = await mesh.connection(b[family], c, "x", 2223);
      await forget(b);
      await before.server.say("answer");
      expect((await before.client.received(6)).text).toBe("answer");
      await forget(b);
      await before.client.say("more");
      await before.server.received(5);
      await before.server.say("again");
      expect((await before.client.received(11)).text).toBe("answeragain");
    });

    test("a port without a listener refuses at once", async () => {
      expect(await c.agent.attempt(b[family], 2224)).toBe("ECONNREFUSED");
    });

    test("an exempt service answers new connections", async () => {
      const host = bracketed(b[family]);
      expect((await curl(c, `http://${host}:2222/`)).output).toBe("exempt");
    });
  });
});
