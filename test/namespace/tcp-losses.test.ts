/** What both ends see of a connection that loses its middle: the path, or one of the proxies. */
import { describe, expect, test } from "bun:test";

import {
  attempted,
  must,
  seen,
  seenAtLast,
  sides,
  Stage,
  type Scene,
  type Side,
} from "../support/endings.ts";

/** Drops everything from the other pods from now on, without any notification. */
async function swallow({ watchers }: Scene): Promise<void> {
  const chain = "type filter hook prerouting priority -400; iifname eth0 drop;";
  const out = "type filter hook output priority -400; oifname eth0 drop;";
  const table = `table inet hole { chain in { ${chain} }; chain out { ${out} }; }\n`;
  await must(watchers.pod, "nft -f -", table);
}

describe.each(sides)("all packets are lost while the %s writes", (by) => {
  test("without a proxy: ETIMEDOUT for the writer, nothing at all for the reader", async () => {
    const stage = new Stage();
    const { a, b } = stage.mesh;
    for (const pod of [a, b]) await must(pod, "sysctl -qw net.ipv4.tcp_retries2=2");
    const scene = await stage.scene(by);
    await swallow(scene);
    await scene.actor.say("hello");
    const reader = seen(scene.watcher);
    expect(await seen(scene.actor)).toBe("0 bytes, ETIMEDOUT");
    // Its kernel has no timer running, so nothing will ever happen to it.
    const { stdout } = await scene.watchers.pod.run(["ss", "-Htno", "state", "established"]);
    expect(stdout).toMatch(/:9001\b/);
    expect(stdout).not.toContain("timer");
    await scene.watcher.reset();
    await reader;
  });

  test("through both proxies: ECONNRESET for both, within --tcp-user-timeout and --tcp-keepalive", async () => {
    const stage = new Stage();
    await stage.start("through both proxies", "--tcp-user-timeout", "1s", "--tcp-keepalive", "1s");
    const scene = await stage.scene(by);
    await swallow(scene);
    await scene.actor.say("hello");
    expect(await seen(scene.actor)).toBe("0 bytes, ECONNRESET");
    expect(await seen(scene.watcher)).toBe("0 bytes, ECONNRESET");
    const lost = / end="(up|down)stream: connection timed out"/;
    await Promise.all(stage.mesh.proxies.map(async (proxy) => await proxy.says(lost)));
  });
});

type Killing = {
  readonly event: string;
  /** Returns what client and server see; `kill` ends the proxy. */
  readonly play: (scene: Scene, kill: () => Promise<unknown>) => Promise<string>;
  readonly sight: string;
};

/** The actor is the client. There is no reference: without proxies there is nothing to kill between the two. */
const killings: readonly Killing[] = [
  {
    event: "while idle",
    play: async ({ actor, watcher }, kill) => {
      await actor.say("x");
      await watcher.received(1);
      await kill();
      return `client: ${await seen(actor)}; server: ${await seen(watcher)}`;
    },
    sight: "client: 0 bytes, ECONNRESET; server: 1 bytes, ECONNRESET",
  },
  {
    event: "with bytes in transit in both directions",
    play: async ({ actor, watcher }, kill) => {
      actor.chatter("there ");
      watcher.chatter("back ");
      await Promise.all([watcher.received(1_000_000), actor.received(1_000_000)]);
      await kill();
      return `client: ${await seenAtLast(actor)}; server: ${await seenAtLast(watcher)}`;
    },
    sight: "client: some bytes, ECONNRESET; server: some bytes, ECONNRESET",
  },
  {
    event: "with unread bytes in both directions",
    play: async ({ actor, watcher }, kill) => {
      await Promise.all([actor.pause(), watcher.pause()]);
      await Promise.all([actor.write(1_000_000), watcher.write(1_000_000)]);
      await kill();
      await Promise.all([actor.resume(), watcher.resume()]);
      return `client: ${await seenAtLast(actor)}; server: ${await seenAtLast(watcher)}`;
    },
    sight: "client: some bytes, ECONNRESET; server: some bytes, ECONNRESET",
  },
  {
    event: "between the client's end and the answer",
    play: async ({ actor, watcher }, kill) => {
      await actor.say("x");
      await actor.end();
      const there = await seen(watcher);
      await kill();
      await watcher.say("the answer");
      const last = await watcher.gone();
      return `server: ${there}, having answered: ${last}; client: ${await seen(actor)}`;
    },
    sight: "server: 1 bytes, end, having answered: EPIPE; client: 0 bytes, ECONNRESET",
  },
  {
    event: "after the server's end and before the client's",
    play: async ({ actor, watcher }, kill) => {
      await watcher.say("x");
      await watcher.end();
      const back = await seen(actor);
      await kill();
      await actor.say("more");
      const last = await actor.gone();
      return `client: ${back}, having said more: ${last}; server: ${await seen(watcher)}`;
    },
    sight: "client: 1 bytes, end, having said more: EPIPE; server: 0 bytes, ECONNRESET",
  },
];

describe.each(sides)("the %s's proxy is killed", (whose) => {
  test.each(killings.map((row) => [row.event, row] as const))("%s", async (_, row) => {
    const stage = new Stage();
    await stage.start("through both proxies");
    const scene = await stage.scene("client");
    const kill = async (): Promise<unknown> => await proxyOf(stage, whose)?.end("SIGKILL");
    expect(await row.play(scene, kill)).toBe(row.sight);
  });
});

test.each([
  ["client", "ETIMEDOUT at connect"],
  ["server", "connected; 0 bytes, ECONNRESET"],
] as const)("a client that connects after the %s's proxy was killed: %s", async (whose, sight) => {
  const stage = new Stage();
  await stage.start("through both proxies", "--connect-timeout", "500ms");
  await must(stage.mesh.a, "sysctl -qw net.ipv4.tcp_syn_retries=1");
  await proxyOf(stage, whose)?.end("SIGKILL");
  expect(await attempted(stage.mesh.a, `${stage.mesh.b.address4}:8080`)).toBe(sight);
});

function proxyOf(stage: Stage, whose: Side): Stage["mesh"]["proxies"][number] | undefined {
  return stage.mesh.proxies[sides.indexOf(whose)];
}
