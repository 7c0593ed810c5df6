/**
 * Packets from outside that do not belong to the proxy reach no application, whatever their flags and whether or not
 * the proxy is alive.
 */
import { beforeAll, expect, test } from "bun:test";

import { hungMs } from "../support/deadline.ts";
import { runScript } from "../support/foreign.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import type { Pod } from "../support/pods.ts";

const mesh = Mesh.create();
const { a, c } = mesh;
/** Addresses of c outside the mesh. */
const outside = { 4: "198.51.100.9", 6: "2001:db8::9" } as const;
const injector = `${import.meta.dir}/../support/injector.ts`;
const syn = "0x02";

beforeAll(async () => {
  // c's kernel must not answer packets of connections that it does not know.
  await runScript(
    c,
    `nft 'table inet quiet { chain c { type filter hook output priority 0; tcp flags & rst == rst drop; }; }'
    ip addr add ${outside[4]}/32 dev lo; ip addr add ${outside[6]}/128 dev lo`,
  );
  await mesh.proxy(a);
});

type Stranger = { readonly from: string; readonly to: string };

/** Pairs of an address of c and a listener of the pod, on all addresses and on one. */
function strangersOf(pod: Pod): readonly Stranger[] {
  return [
    [c.address4, `${pod.address4}:8080`],
    [c.address4, `${pod.address4}:8084`],
    [`[${c.address6}]`, `[${pod.address6}]:8080`],
    [`[${c.address6}]`, `[${pod.address6}]:8086`],
    [outside[4], `${pod.address4}:8080`],
    [outside[4], `${pod.address4}:8084`],
    [`[${outside[6]}]`, `[${pod.address6}]:8080`],
    [`[${outside[6]}]`, `[${pod.address6}]:8086`],
  ].map(([address, to = ""], at) => ({ from: `${address}:${40_400 + at}`, to }));
}

/** Starts a handshake by a raw socket; returns the segment that would complete it, and carries data. */
async function begin({ from, to }: Stranger): Promise<readonly string[]> {
  const port = from.slice(from.lastIndexOf(":") + 1);
  const how = ["-nSl", "--immediate-mode", "-i", "any"];
  const watching = c.start(["tcpdump", ...how, "tcp", "dst", "port", port]);
  await watching.says(/listening on/);
  await c.run(["bun", injector, from, to, "1000", "0", "", syn]);
  const line = await watching.says(/Flags \[S\.\], seq \d+/);
  await watching.end("SIGINT");
  const answered = Number(/seq (\d+)/.exec(line)?.[1]);
  return [from, to, "1001", String((answered + 1) % 2 ** 32), "from nobody at all"];
}

/** Connections that the pod's application has with such clients. */
async function reached(pod: Pod): Promise<readonly string[]> {
  const { stdout } = await pod.run(["ss", "-Htanp", "state", "established"]);
  return stdout
    .split("\n")
    .filter((line) => line.includes(`pid=${pod.agent.pid},`) && /:404\d\d\b/.test(line));
}

/** Sends SYNs from the ports that applications listen on to a port outside the mesh, which never answers. */
async function dialFrom(pod: Pod): Promise<void> {
  for (const [from, port, to] of [
    [pod.address4, 8080, outside[4]],
    [pod.address4, 8084, outside[4]],
    [`[${pod.address6}]`, 8080, `[${outside[6]}]`],
    [`[${pod.address6}]`, 8086, `[${outside[6]}]`],
  ] as const)
    await pod.run(["bun", injector, `${from}:${port}`, `${to}:9`, "1", "0", "", syn]);
}

test.each(["SIGKILL", "SIGTERM", "restart"] as const)(
  "a SYN cookie reaches no application after the proxy has ended: %s",
  async (end) => {
    const pod = mesh.extraPod();
    await runScript(
      pod,
      `sysctl -qw net.ipv4.tcp_syncookies=2
      ip route add ${outside[4]} via ${c.address4}; ip -6 route add ${outside[6]} via ${c.address6}`,
    );
    const listeners = [
      await pod.agent.listen("::", 8080),
      await pod.agent.listen(pod.address4, 8084),
      await pod.agent.listen(pod.address6, 8086),
    ];
    const options = [...flagsOf(mesh.credentials(pod)), "--privileges", "kept"];
    const proxy = await pod.proxy(options);
    // Ports that were dialled from earlier, and are dialled from again below, must be just as closed.
    await dialFrom(pod);
    // The applications' listeners send cookies to the proxy, and accept cookies from then on.
    for (const [at, address] of [pod.address4, pod.address4, pod.address6].entries()) {
      const client = await a.agent.connect(address, [8080, 8084, 8086][at] ?? 0);
      await client.say("peer");
      expect((await (await listeners[at]?.accept())?.received(4))?.text).toBe("peer");
    }
    await dialFrom(pod);
    const segments: (readonly string[])[] = [];
    for (const stranger of strangersOf(pod)) segments.push(await begin(stranger));
    await proxy.end(end === "restart" ? "SIGKILL" : end);
    if (end === "restart") await pod.proxy(options);
    for (const segment of segments) await c.run(["bun", injector, ...segment]);
    expect(await reached(pod)).toEqual([]);
    if (end === "restart") return;
    // Without the rules they are let in.
    await runScript(pod, "nft delete table inet tls-tproxy");
    for (const segment of segments) await c.run(["bun", injector, ...segment]);
    expect(await reached(pod)).toHaveLength(segments.length);
  },
  hungMs,
);

/** The last answer of a connection that tcpdump has seen on lo: the next sequence number, and the acknowledgement. */
const answers = /Flags \[P\.\], seq \d+:(\d+), ack (\d+).*length 5\b/;

test.each([[[]], [["--exclude-inbound-port", "9"]], [["--inbound-port", "none"]]] as const)(
  "segments from outside do not reach the applications' own connections to the mesh: %p",
  async (options) => {
    const pod = mesh.extraPod();
    const peer = mesh.extraPod();
    await mesh.proxy(pod, options);
    await mesh.proxy(peer);
    const listener = await peer.agent.listen("::", 8080);
    for (const [own, theirs] of [
      [pod.address4, peer.address4],
      [`[${pod.address6}]`, `[${peer.address6}]`],
    ] as const) {
      const watching = pod.start(["tcpdump", "-nSl", "--immediate-mode", "-i", "lo", "tcp"]);
      await watching.says(/listening on/);
      const client = await pod.agent.connect(theirs.replaceAll(/[[\]]/g, ""), 8080);
      const server = await listener.accept();
      await server.say("hello");
      expect((await client.received(5)).text).toBe("hello");
      const seen = answers.exec(await watching.says(answers)) ?? [];
      const [, port = ""] = /:(\d+)$/.exec(await localOf(pod, theirs)) ?? [];
      const segment = [`${theirs}:8080`, `${own}:${port}`, seen[1] ?? "", seen[2] ?? ""];
      await c.run(["bun", injector, ...segment, "injected"]);
      // The next data continues at the same sequence number.
      await server.say(" and this");
      expect((await client.received(14)).text).toBe("hello and this");
    }
  },
  hungMs,
);

/** The application's end of its connection. */
async function localOf(pod: Pod, peer: string): Promise<string> {
  const { stdout } = await pod.run(["ss", "-Htanp", "state", "established", "dst", `${peer}:8080`]);
  const line = stdout.split("\n").find((one) => one.includes(`pid=${pod.agent.pid},`)) ?? "";
  return line.trim().split(/\s+/)[2] ?? "";
}

test(
  "connections to destinations outside the mesh are answered, over a restart and while the proxy is dead",
  async () => {
    const pod = mesh.extraPod();
    await runScript(
      pod,
      `ip route add ${outside[4]} via ${c.address4}; ip -6 route add ${outside[6]} via ${c.address6}`,
    );
    const listener = await c.agent.listen("::", 7000);
    const begun = async (address: string): Promise<(text: string) => Promise<void>> => {
      const client = await pod.agent.connect(address, 7000);
      const server = await listener.accept();
      let sent = "";
      return async (text) => {
        sent += text;
        await server.say(text);
        expect((await client.received(sent.length)).text).toBe(sent);
      };
    };
    const before = [await begun(outside[4]), await begun(c.address4)];
    const proxy = await mesh.proxy(pod, ["--preexisting", "leave"]);
    const during = [await begun(outside[4]), await begun(outside[6])];
    for (const say of [...before, ...during]) await say("running ");
    await proxy.end("SIGKILL");
    const dead = [await begun(outside[4]), await begun(outside[6])];
    for (const say of [...before, ...during, ...dead]) await say("dead ");
    const kept = ["--privileges", "kept", "--preexisting", "leave"];
    const next = await mesh.proxy(pod, kept);
    for (const say of [...before, ...during, ...dead]) await say("restarted ");
    await runScript(pod, "nft delete table inet tls-tproxy");
    await next.says(/rules were restored|changed/);
    for (const say of [...during, ...dead]) await say("repaired ");
    await next.end("SIGTERM");
    for (const say of [...during, ...dead]) await say("closed ");
  },
  hungMs,
);

/** True once a handshake has begun with one of the pod's own listeners at port 8080. */
async function hasBegun(pod: Pod): Promise<boolean> {
  const { stdout } = await pod.run(["ss", "-Htan", "state", "syn-recv", "sport", "= :8080"]);
  return stdout.trim() !== "";
}

test(
  "remains of the killed proxy's connections do not lead new ones to the application",
  async () => {
    const pod = mesh.extraPod();
    await pod.agent.listen("::", 8080);
    const proxy = await pod.proxy([...flagsOf(mesh.credentials(pod)), "--privileges", "kept"]);
    const ends: { readonly at: Pod; readonly from: string; readonly to: string }[] = [];
    const closing: (() => Promise<unknown>)[] = [];
    // Connections from strangers to the application, and from the application to a destination in the mesh.
    for (const [at, own, address, to] of [
      [c, c.address4, pod.address4, `${pod.address4}:8080`],
      [c, `[${c.address6}]`, pod.address6, `[${pod.address6}]:8080`],
      [pod, pod.address4, c.address4, `${c.address4}:8080`],
      [pod, `[${pod.address6}]`, c.address6, `[${c.address6}]:8080`],
    ] as const) {
      const client = await at.agent.connect(address, 8080);
      const { stdout } = await at.run(["ss", "-Htan", "dst", to]);
      ends.push({ at, from: `${own}:${/:(\d+) /.exec(stdout)?.[1] ?? ""}`, to });
      closing.push(async () => {
        await client.end();
        await client.finish();
      });
    }
    await proxy.end("SIGKILL");
    for (const close of closing) await close();
    // A new connection starts at a higher sequence number than any before.
    const again = async ({ at, from, to }: (typeof ends)[number]): Promise<void> => {
      await at.run(["bun", injector, from, to, "1", "0", "", syn]);
      await at.run(["bun", injector, from, to, String(2 ** 31), "0", "", syn]);
    };
    for (const end of ends) {
      await again(end);
      expect(await hasBegun(pod)).toBe(false);
    }
    await runScript(pod, "nft delete table inet tls-tproxy");
    for (const end of ends.slice(0, 2)) await again(end);
    expect(await hasBegun(pod)).toBe(true);
  },
  hungMs,
);
