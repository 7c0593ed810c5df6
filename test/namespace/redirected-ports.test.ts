/** Another table redirects a port to one of the same pod: in cleartext only if both ports are. */
import { beforeAll, describe, expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { Mesh } from "../support/mesh.ts";
import { curl } from "../support/programs.ts";

const redirections = `table inet others {
  chain redirected {
    type nat hook prerouting priority dstnat;
    tcp dport 2224 redirect to :8080
    tcp dport 2223 redirect to :22
  }
}`;

describe.each([
  ["without options", [], false],
  ["with the second port in cleartext", ["--exclude-inbound-port", "22"], false],
  ["with both ports in cleartext", ["--exclude-inbound-port", "22,2223"], true],
  ["with an excluded user", ["--exclude-uid", "1234"], false],
] as const)("%s", (_, options, isClear) => {
  const mesh = Mesh.create();
  const { a, b, c } = mesh;
  const asked = async (from: typeof a, address: string, port: number): Promise<string> => {
    const host = address.includes(":") ? `[${address}]` : address;
    return (await curl(from, `http://${host}:${port}/`)).output;
  };

  beforeAll(async () => {
    await serveHttp(b, 8080, "application");
    await serveHttp(b, 22, "other");
    const { code, stderr } = await b.run(["nft", "-f", "-"], redirections);
    expect([code, stderr]).toEqual([0, ""]);
    await mesh.proxy(a);
    await mesh.proxy(b, options);
  });

  test.each(["address4", "address6"] as const)("%s", async (family) => {
    expect(await asked(a, b[family], 2224)).toBe("application");
    expect(await asked(c, b[family], 2224)).not.toContain("application");
    expect((await asked(c, b[family], 2223)) === "other").toBe(isClear);
  });
});
