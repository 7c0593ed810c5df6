/** The process with the key writes no core file, and other processes of its user cannot read its memory. */
import { readFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { executable } from "../support/pods.ts";
import { curl } from "../support/programs.ts";
import { metrics } from "../support/status.ts";

/** Root with Docker's capabilities: it may not trace other processes or use perf events on them. */
const lost = "-sys_ptrace,-sys_admin,-perfmon";
const plainRoot = ["setpriv", "--bounding-set", lost, "--inh-caps", lost];

test.each(["kept", "dropped"])(
  "with privileges %s no process of the same user can read its memory",
  async (privileges) => {
    const mesh = Mesh.create();
    await serveHttp(mesh.b, 8000, "served");
    mesh.proxies.push(await mesh.proxy(mesh.a));
    const flags = [...flagsOf(mesh.credentials(mesh.b)), "--privileges", privileges];
    const proxy = mesh.b.start([...plainRoot, ...executable(), ...flags]);
    await proxy.says(/] ready/);
    const pid = String(proxy.pid);
    expect(readFileSync(`/proc/${pid}/limits`, "utf8")).toMatch(/^Max core file size +0 +0 /m);
    const script = `for name in mem maps environ auxv; do
      if head -c 1 /proc/$1/$name > /dev/null 2>&1; then echo read $name; else echo refused $name; fi
    done`;
    const look = async (of: string): Promise<string> =>
      (await mesh.b.run([...plainRoot, "sh", "-c", script, "-", of])).stdout;
    // Control: the memory of a process of the same user without a key can be read.
    const other = mesh.b.start([...plainRoot, "sleep", "1000"]);
    expect(await look(String(other.pid))).toContain("read maps");
    for (const name of ["mem", "maps", "environ", "auxv"])
      expect(await look(pid)).toContain(`refused ${name}`);
    // The proxy can still read its own state.
    expect((await metrics(mesh.b)).get("process_open_fds")).toBeGreaterThan(0);
    expect((await curl(mesh.a, `http://${mesh.b.address4}:8000/`)).output).toBe("served");
  },
);
