/** Proxies resume sessions with each other, and no session outlives the conditions under which it was made. */
import { expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { PolicyFile } from "../support/policy.ts";
import { curl } from "../support/programs.ts";
import { rotatable, rotate, type Rotated } from "../support/rotation.ts";
import { metricOnce } from "../support/status.ts";

/** One side's handshakes, and how many of them resumed a session. */
type Counts = { readonly handshakes: number; readonly resumed: number };

type Side = "client" | "server";

class Stage {
  readonly mesh = Mesh.create();
  readonly policies: Readonly<Record<Side, PolicyFile>>;
  readonly #mode: string;
  readonly #sides: Partial<Record<Side, Rotated>> = {};
  #asked = 0;

  constructor(mode: string) {
    this.#mode = mode;
    this.policies = { client: this.#policy(), server: this.#policy() };
  }

  static async create(mode = "strict"): Promise<Stage> {
    const stage = new Stage(mode);
    const { a, b } = stage.mesh;
    stage.#sides.client = await rotatable(a, ...stage.policies.client.flags);
    stage.#sides.server = await rotatable(b, ...stage.policies.server.flags);
    await serveHttp(b, 8000, "served");
    return stage;
  }

  side(of: Side): Rotated {
    const side = this.#sides[of];
    if (side === undefined) throw new Error(`no ${of}`);
    return side;
  }

  /** Opens a new connection, and returns its result. */
  async ask(host = this.mesh.b.address4): Promise<string> {
    this.#asked += 1;
    return (await curl(this.mesh.a, `http://${host}:8000/`)).output;
  }

  /** Makes `count` connections one after the other, each of which is served. */
  async served(count: number): Promise<void> {
    for (let turn = 0; turn < count; turn += 1) expect(await this.ask()).toBe("served");
  }

  /** The counts over all connections, once the last one is included. */
  async counts(of: Side = "client"): Promise<Counts> {
    const labels = `{direction="${of === "client" ? "outbound" : "inbound"}"}`;
    const name = `tproxy_handshake_seconds_count${labels}`;
    const all = await metricOnce(this.side(of).pod, name, (count) => count === this.#asked);
    const resumed = all.get(`tproxy_handshake_resumptions_total${labels}`) ?? Number.NaN;
    return { handshakes: this.#asked, resumed };
  }

  async replaced(of: Side, what: "credential" | "policy", times = 1): Promise<void> {
    const name = `tproxy_${what}_reloads_total{result="replaced"}`;
    await metricOnce(this.side(of).pod, name, (count) => count === times);
  }

  /** Writes this side's policy, with this text in it. */
  write(of: Side, text: string): void {
    this.policies[of].write(`inbound: { mode: ${this.#mode}, ${text} }`);
  }

  /** Ends the server's proxy, and starts another one with the same files. */
  async restart(): Promise<void> {
    const { pod, paths, proxy } = this.side("server");
    await proxy.end();
    await pod.proxy([...flagsOf(paths), ...this.policies.server.flags]);
  }

  #policy(): PolicyFile {
    return new PolicyFile(`inbound: { mode: ${this.#mode} }`);
  }
}

test.each(["strict", "permissive"])(
  "connections to a %s port resume the first one's session, and both sides count it",
  async (mode) => {
    const stage = await Stage.create(mode);
    await stage.served(6);
    expect(await stage.counts("client")).toEqual({ handshakes: 6, resumed: 5 });
    expect(await stage.counts("server")).toEqual({ handshakes: 6, resumed: 5 });
  },
);

test.each([
  ["the client's credentials are replaced", "client", "credential"],
  ["the client's policy changes", "client", "policy"],
  ["the server's credentials are replaced", "server", "credential"],
  ["the server's policy changes", "server", "policy"],
] as const)(
  "when %s the next handshake is a full one, and the application notices nothing",
  async (_, of, what) => {
    const stage = await Stage.create();
    await stage.served(3);
    expect(await stage.counts()).toEqual({ handshakes: 3, resumed: 2 });
    if (what === "policy") stage.write(of, "ports: { 9: { mode: audit } }");
    else rotate(stage.side(of));
    await stage.replaced(of, what);
    await stage.served(1);
    expect(await stage.counts()).toEqual({ handshakes: 4, resumed: 2 });
    await stage.served(1);
    expect(await stage.counts()).toEqual({ handshakes: 5, resumed: 3 });
  },
);

test("a restarted server's proxy knows none of the tickets, and the application notices nothing", async () => {
  const stage = await Stage.create();
  await stage.served(3);
  await stage.restart();
  await stage.served(2);
  expect(await stage.counts("client")).toEqual({ handshakes: 5, resumed: 3 });
  const { output } = stage.side("client").proxy;
  expect(output).not.toContain("Failed to connect");
});

test("a server that the client's policy no longer allows is refused despite its tickets", async () => {
  const stage = await Stage.create();
  const { b, c } = stage.mesh;
  await stage.served(2);
  const expected = (id: string): string =>
    `outbound: { expect: [{ to: ${b.address4}, allow: ["${id}"] }] }`;
  stage.policies.client.write(expected(`spiffe://test.example/host/${c.address4}`));
  await stage.replaced("client", "policy");
  expect(await stage.ask()).not.toContain("served");
  await stage.side("client").proxy.says(/10\.77\.0\.2 is not one of those allowed here/);
  stage.policies.client.write(expected(`spiffe://test.example/host/${b.address4}`));
  await stage.replaced("client", "policy", 2);
  await stage.served(1);
});

test("a client that the server's policy no longer allows is refused despite its tickets", async () => {
  const stage = await Stage.create();
  await stage.served(2);
  stage.write("server", "allow: []");
  await stage.replaced("server", "policy");
  expect(await stage.ask()).not.toContain("served");
  await stage.side("server").proxy.says(/10\.77\.0\.1 is not one of those allowed here/);
  stage.write("server", 'allow: ["spiffe://test.example/host/*"]');
  await stage.replaced("server", "policy", 2);
  await stage.served(1);
});

test("sessions are resumed over IPv6 too", async () => {
  const stage = await Stage.create();
  const host = `[${stage.mesh.b.address6}]`;
  for (let turn = 0; turn < 3; turn += 1) expect(await stage.ask(host)).toBe("served");
  expect(await stage.counts("client")).toEqual({ handshakes: 3, resumed: 2 });
  expect(await stage.counts("server")).toEqual({ handshakes: 3, resumed: 2 });
});
