/** A reload for which no descriptor is free blames neither certificate nor policy, and succeeds once one is. */
import { copyFileSync, readdirSync } from "node:fs";
import { expect, test } from "bun:test";

import { credentialsFor } from "../support/credentials.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { PolicyFile } from "../support/policy.ts";

/** Lowers or raises the most descriptors that a running process may open. */
function limit(pid: number, descriptors: number): void {
  const { exitCode } = Bun.spawnSync(["prlimit", `--pid=${pid}`, `--nofile=${descriptors}:4096`]);
  expect(exitCode).toBe(0);
}

function open(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

test("credentials", async () => {
  const mesh = Mesh.create();
  const paths = mesh.credentials(mesh.a);
  const proxy = await mesh.a.proxy(["--privileges", "kept", ...flagsOf(paths)]);
  limit(proxy.pid, 20);
  expect(open(proxy.pid)).toBeGreaterThan(20);
  const { certificate, key, authority } = credentialsFor([mesh.a.address4], {});
  copyFileSync(authority, paths.authority);
  copyFileSync(key, paths.key);
  copyFileSync(certificate, paths.certificate);
  const line = await proxy.says(/W.* credentials\] the old ones stay in use: .*EMFILE.*\n/);
  expect(line).toMatch(
    /EMFILE \(this process has no descriptor left: raise the limit .*\)\. They are tried again in 5 s\. They are valid /,
  );
  expect(line).not.toMatch(/refuse|TLS|peers/);
  limit(proxy.pid, 4096);
  await proxy.says(/I.* credentials\] replaced: /);
  expect(proxy.output).not.toContain("internal error");
});

test("the policy", async () => {
  const mesh = Mesh.create();
  const policy = new PolicyFile("inbound:\n  mode: strict\n");
  const options = [...flagsOf(mesh.credentials(mesh.a)), ...policy.flags];
  const proxy = await mesh.a.proxy(["--privileges", "kept", ...options]);
  limit(proxy.pid, 20);
  policy.write("inbound:\n  mode: audit\n");
  const line = await proxy.says(/W.* policy\] the old one stays in use: .*EMFILE.*\n/);
  expect(line).toMatch(
    /EMFILE \(this process has no descriptor left: .*\)\. It is tried again in 5 s/,
  );
  limit(proxy.pid, 4096);
  await proxy.says(/I.* policy\] replaced: /);
  expect(proxy.output).not.toContain("internal error");
});
