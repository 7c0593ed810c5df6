/** A resumed session is authorized like any other, and no ticket outlives its credentials or its policy. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { credentialsFor, type CredentialPaths } from "../support/credentials.ts";
import { serveHttp } from "../support/http.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { PolicyFile } from "../support/policy.ts";
import { metricOnce } from "../support/status.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const request = "GET / HTTP/1.0\r\n\r\n";

class Stage {
  readonly mesh = Mesh.create();
  readonly policy: PolicyFile;
  readonly #inspected: boolean;
  readonly paths: CredentialPaths;
  readonly #ticket = `${temporaryDirectory()}/ticket`;
  readonly #own: readonly string[];

  /** `inspected`: the port also accepts cleartext, so TLS starts only after the first bytes have been detected. */
  constructor(inspected: boolean) {
    const { b, c } = this.mesh;
    this.#inspected = inspected;
    this.policy = new PolicyFile(this.#text("{}"));
    this.paths = credentialsFor([b.address4, b.address6]);
    const { certificate, key } = this.mesh.credentials(c);
    this.#own = ["-cert", certificate, "-key", key];
  }

  static async create(inspected = false): Promise<Stage> {
    const stage = new Stage(inspected);
    const { b } = stage.mesh;
    stage.mesh.proxies.push(await b.proxy([...flagsOf(stage.paths), ...stage.policy.flags]));
    await serveHttp(b, 8000, "served");
    return stage;
  }

  async say(...options: readonly string[]): Promise<string> {
    const { b, c } = this.mesh;
    const command = ["openssl", "s_client", "-connect", `${b.address4}:8000`, ...this.#own];
    if (this.#inspected) command.push("-alpn", "tproxy/1");
    return (await c.run(["timeout", "10", ...command, ...options, "-ign_eof"], request)).stdout;
  }

  /** Sets who is allowed, in the port's mode. */
  allow(list: string): void {
    this.policy.write(this.#text(`{ allow: ${list} }`));
  }

  #text(port: string): string {
    const mode = this.#inspected ? "permissive" : "strict";
    return `inbound: { mode: ${mode}, ports: { 8000: ${port} } }`;
  }

  /** Makes a full handshake that yields a ticket. */
  async first(): Promise<string> {
    return await this.say("-sess_out", this.#ticket);
  }

  async again(...options: readonly string[]): Promise<string> {
    return await this.say("-sess_in", this.#ticket, ...options);
  }
}

test("a session is resumed, and served to the identity that made it", async () => {
  const stage = await Stage.create();
  const first = await stage.first();
  const again = await stage.again();
  expect([first, again]).toEqual([
    expect.stringMatching(/^New, TLSv1\.3/m),
    expect.stringMatching(/^Reused, TLSv1\.3/m),
  ]);
  expect(again).toContain("served");
  const line = String.raw`from 10\.77\.0\.3\S+ to \S+ peer=spiffe://test\.example/host/10\.77\.0\.3`;
  await stage.mesh.proxies[0]?.says(new RegExp(`${line}[^]*${line}`));
});

test.each([
  ["strict", false],
  ["permissive", true],
] as const)(
  "a policy change ends the tickets of a %s port, and refuses an identity that it no longer names",
  async (_, inspected) => {
    const stage = await Stage.create(inspected);
    await stage.first();
    stage.allow('["spiffe://test.example/host/10.77.0.3"]');
    await metricOnce(
      stage.mesh.b,
      'tproxy_policy_reloads_total{result="replaced"}',
      (count) => count === 1,
    );
    const still = await stage.again();
    expect([still, still]).toEqual([
      expect.stringMatching(/^New, TLSv1\.3/m),
      expect.stringContaining("served"),
    ]);
    stage.allow("[]");
    await metricOnce(
      stage.mesh.b,
      'tproxy_policy_reloads_total{result="replaced"}',
      (count) => count === 2,
    );
    const refused = await stage.again();
    expect([refused, refused]).toEqual([
      expect.stringMatching(/^New, TLSv1\.3/m),
      expect.not.stringContaining("served"),
    ]);
  },
);

test("replaced credentials end the tickets", async () => {
  const stage = await Stage.create();
  await stage.first();
  const { b } = stage.mesh;
  const fresh = credentialsFor([b.address4, b.address6]);
  for (const [from, to] of [
    [fresh.key, stage.paths.key],
    [fresh.certificate, stage.paths.certificate],
  ] as const) {
    writeFileSync(`${to}.new`, readFileSync(from));
    renameSync(`${to}.new`, to);
  }
  await metricOnce(b, 'tproxy_credential_reloads_total{result="replaced"}', (count) => count === 1);
  const again = await stage.again();
  expect([again, again]).toEqual([
    expect.stringMatching(/^New, TLSv1\.3/m),
    expect.stringContaining("served"),
  ]);
});

test("early data (0-RTT) is refused", async () => {
  const stage = await Stage.create();
  await stage.first();
  const file = `${temporaryDirectory()}/request`;
  writeFileSync(file, request);
  expect(await stage.again("-early_data", file)).toMatch(/^Early data was not sent|rejected/m);
});
