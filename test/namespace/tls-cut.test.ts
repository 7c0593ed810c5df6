/**
 * An attacker on the path: a bare FIN, without close_notify, looks like an end (a documented limit); a modified
 * record gives an RST.
 */
import { beforeAll, describe, expect, test } from "bun:test";

import { alike, must, seen, sides, Stage, ways, type Row, type Scene } from "../support/endings.ts";
import { opensslServer } from "../support/programs.ts";

const cut: Row = {
  event: "a FIN is inserted",
  play: async (scene) => {
    await greeted(scene);
    await tamper(scene, "tcp flags set fin | psh | ack");
    await scene.actor.say("half of it");
    return await seen(scene.watcher);
  },
  sight: alike("11 bytes, end"),
};

const change: Row = {
  event: "four bytes are changed",
  play: async (scene) => {
    await greeted(scene);
    // Ten bytes after a TCP header with timestamps.
    await tamper(scene, "@th,336,32 set 0x21212121");
    await scene.actor.say("half of it, and more");
    await scene.actor.end();
    const { text, ending } = await scene.watcher.finish();
    return `${text}, ${ending}`;
  },
  sight: {
    "without a proxy": "xhalf of it!!!!d more, end",
    "through both proxies": "x, ECONNRESET",
  },
};

/** Waits until the messages that follow a handshake (session tickets) have passed. */
async function greeted({ actor, watcher }: Scene): Promise<void> {
  await Promise.all([actor.say("x"), watcher.say("x")]);
  await Promise.all([actor.received(1), watcher.received(1)]);
}

/** Modifies all segments with data that reach the watcher's pod from now on. */
async function tamper({ watchers }: Scene, statement: string): Promise<void> {
  const rule = `iifname eth0 tcp flags & psh == psh ${statement};`;
  const chain = `chain in { type filter hook prerouting priority -400; ${rule} };`;
  await must(watchers.pod, "nft -f -", `table inet tamper { ${chain} }\n`);
}

describe.each(ways)("%s", (way) => {
  describe.each(sides)("in what the %s sends", (by) => {
    test.each([cut, change].map((row) => [row.event, row] as const))("%s", async (_, row) => {
      const stage = new Stage();
      await stage.start(way);
      expect(await stage.play(row, by)).toBe(row.sight[way]);
    });
  });
});

test.each(sides)("a cut of what the %s sends is logged as a clean end", async (by) => {
  const stage = new Stage();
  await stage.start("through both proxies");
  const scene = await stage.scene(by);
  await cut.play(scene);
  await scene.watcher.end();
  await stage.mesh.proxies[by === "client" ? 1 : 0]?.says(/ end="clean"/);
});

test.each(sides)("a modification of what the %s sends is logged as corrupted", async (by) => {
  const stage = new Stage();
  await stage.start("through both proxies");
  await change.play(await stage.scene(by));
  await stage.mesh.proxies[by === "client" ? 1 : 0]?.says(
    / end="\w+: .* corrupted or tampered with"/,
  );
});

describe("a foreign TLS peer that dies without close_notify counts as one that ends", () => {
  const stage = new Stage();
  const { mesh } = stage;

  beforeAll(async () => {
    await stage.start("through both proxies");
  });

  test("as a server: openssl s_server", async () => {
    const server = await opensslServer(mesh.c, 8443, mesh.credentials(mesh.c), "-rev");
    const client = await mesh.a.agent.connect(mesh.c.address4, 8443);
    await client.say("olleh\n");
    await client.received(6);
    await server.end("SIGKILL");
    expect(await seen(client)).toBe("6 bytes, end");
  });

  test("as a client: openssl s_client", async () => {
    const { certificate, key } = mesh.credentials(mesh.c);
    const listener = await mesh.b.agent.listen("::", 8080);
    const to = ["-connect", `${mesh.b.address4}:8080`, "-cert", certificate, "-key", key];
    const client = mesh.c.start(["openssl", "s_client", "-quiet", ...to]);
    const server = await listener.accept();
    await server.say("hello");
    await client.says(/hello/);
    await client.end("SIGKILL");
    expect(await seen(server)).toBe("0 bytes, end");
  });
});
