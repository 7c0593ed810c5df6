/** The kernel's reverse-path filter does not interfere in any setting; `tls-tproxy check` relies on this. */
import { expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { Mesh } from "../support/mesh.ts";
import { curl } from "../support/programs.ts";

const settings = ["0", "1", "2"].flatMap((filter) =>
  ["0", "1"].map((mark) => [filter, mark] as const),
);

test("traffic flows both ways under every rp_filter and src_valid_mark", async () => {
  const mesh = Mesh.create();
  await mesh.startProxies();
  await serveHttp(mesh.a, 8000, "hello from a");
  await serveHttp(mesh.b, 8000, "hello from b");
  for (const [filter, mark] of settings) {
    for (const pod of [mesh.a, mesh.b])
      for (const setting of [
        ...["all", "default", "lo", "eth0"].map(
          (link) => `net.ipv4.conf.${link}.rp_filter=${filter}`,
        ),
        ...["all", "lo", "eth0"].map((link) => `net.ipv4.conf.${link}.src_valid_mark=${mark}`),
      ])
        expect((await pod.run(["sysctl", "-qw", setting])).code).toBe(0);
    const [there, back] = await Promise.all([
      curl(mesh.a, `http://${mesh.b.address4}:8000/`),
      curl(mesh.b, `http://${mesh.a.address4}:8000/`),
    ]);
    expect([filter, mark, there.output, back.output]).toEqual([
      filter,
      mark,
      "hello from b",
      "hello from a",
    ]);
  }
});
