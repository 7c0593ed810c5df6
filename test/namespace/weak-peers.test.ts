/** A peer with a forgeable certificate chain is refused in both directions; the TLS library alone would accept it. */
import { beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";

import { writeCredentials, type CredentialPaths } from "../support/credentials.ts";
import { issueAuthority, issueLeaf } from "../../src/identity/issue.ts";
import { serveHttp } from "../support/http.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import type { Running } from "../support/pods.ts";
import { curl } from "../support/programs.ts";
import { oldRoot, weakChains, writeChain, type WeakChain } from "../support/weak-chains.ts";

const mesh = Mesh.create();
const { b, c } = mesh;
const names = `URI:spiffe://test.example/old,IP:${c.address4}`;
/** The chain that a peer shows, and whether it is accepted. */
const chains = new Map<string, { readonly paths: CredentialPaths; readonly isPeer: boolean }>();
const request = "GET / HTTP/1.0\r\n\r\n";
/** OpenSSL itself offers such a chain only with this setting. */
const lax = "DEFAULT:@SECLEVEL=0";
let proxy: Running;

function add(kind: string, chain: WeakChain, isPeer: boolean): void {
  chains.set(kind, { paths: writeChain(chain, names), isPeer });
}

for (const [kind, chain] of Object.entries(weakChains)) add(kind, chain, false);
add("a root that signs itself by SHA-1", oldRoot, true);
add("nothing weak", {}, true);

const own = issueAuthority("own");
const id = { spiffeId: "spiffe://test.example/b", ips: [b.address4] };
const files = writeCredentials(issueLeaf(own, id), own);
const roots = [...chains.values()].map(({ paths }) => readFileSync(paths.authority, "utf8"));
writeFileSync(files.authority, readFileSync(files.authority, "utf8") + roots.join(""));

beforeAll(async () => {
  proxy = await b.proxy([...flagsOf(files), "--handshake-timeout", "3s"]);
  await serveHttp(b, 8000, "served");
});

describe.each([...chains.keys()])("%s", (kind) => {
  const { paths, isPeer } = chains.get(kind) ?? { paths: null, isPeer: false };
  if (paths === null) throw new Error("no such chain");
  const refusal = /(RSA key of 1024 bits|signature by SHA-1|unknown CA)/;

  test("as a client", async () => {
    const shown = ["-cert", paths.certificate, "-key", paths.key, "-cert_chain", paths.certificate];
    const options = ["-quiet", "-connect", `${b.address4}:8000`, "-cipher", lax, ...shown];
    const { stdout } = await c.run(["openssl", "s_client", ...options], request);
    expect(stdout.includes("served")).toBe(isPeer);
    if (!isPeer) await proxy.says(new RegExp(`Refused connection .*${refusal.source}`));
  });

  test("as a server", async () => {
    const port = String(9000 + [...chains.keys()].indexOf(kind));
    const shown = ["-cert", paths.certificate, "-key", paths.key, "-cert_chain", paths.certificate];
    const options = ["-accept", port, "-www", "-cipher", lax, ...shown];
    const server = c.start(["openssl", "s_server", ...options]);
    await server.says(/ACCEPT/);
    const { output } = await curl(b, "--max-time", "10", `http://${c.address4}:${port}/`);
    expect(output.includes("Protocol")).toBe(isPeer);
    if (!isPeer)
      await proxy.says(
        new RegExp(`original destination \\[${c.address4}:${port}\\]: .*${refusal.source}`),
      );
  });
});
