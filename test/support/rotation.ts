/** Rotates credentials under load, and measures the load's failures. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { X509Certificate } from "node:crypto";

import { credentialsFor, type CredentialPaths } from "./credentials.ts";
import { flagsOf, Mesh } from "./mesh.ts";
import { patternDigest } from "./pattern.ts";
import type { Pod, Running } from "./pods.ts";

export type Rotated = {
  readonly pod: Pod;
  readonly paths: CredentialPaths;
  readonly proxy: Running;
};

export type RotationFigures = {
  /** New connections during the rotations, each with a request and its answer, and how many of them failed. */
  readonly connections: number;
  readonly failed: number;
  /** Bytes sent both ways over one connection meanwhile, and whether the digests match. */
  readonly bytes: number;
  readonly intact: boolean;
  /** Milliseconds from the last rename until a handshake shows the new certificate, for each turn and side. */
  readonly useMs: readonly number[];
};

/** A proxy with credentials of its own that can be rotated. */
export async function rotatable(pod: Pod, ...options: readonly string[]): Promise<Rotated> {
  const paths = credentialsFor([pod.address4, pod.address6]);
  return { pod, paths, proxy: await pod.proxy([...flagsOf(paths), ...options]) };
}

/** Replaces one file after the other by rename, as simple tools do. Returns the certificate. */
export function rotate({ pod, paths }: Rotated): X509Certificate {
  const fresh = credentialsFor([pod.address4, pod.address6]);
  for (const [from, to] of [
    [fresh.key, paths.key],
    [fresh.certificate, paths.certificate],
  ] as const) {
    writeFileSync(`${to}.new`, readFileSync(from), { mode: 0o600 });
    renameSync(`${to}.new`, to);
  }
  return new X509Certificate(readFileSync(paths.certificate));
}

/** Rotates both sides, `turns` times, with transfers both ways and new connections at full rate. */
export async function rotateUnderLoad(turns: number, bytes: number): Promise<RotationFigures> {
  const mesh = Mesh.create();
  return await rotateMesh(mesh, turns, bytes);
}

export async function rotateMesh(
  mesh: Mesh,
  turns: number,
  bytes: number,
): Promise<RotationFigures> {
  const sides = [await rotatable(mesh.a), await rotatable(mesh.b)];
  const { client, server } = await mesh.connection(mesh.b.address4, mesh.a, "", 9000);
  const load = new Load(mesh);
  await load.begin();
  const pumps = Promise.all([client.write(bytes), server.write(bytes)]);
  const useMs: number[] = [];
  for (let turn = 0; turn < turns; turn += 1)
    for (const side of sides) useMs.push(await timeToUse(mesh, side));
  const counts = await load.end();
  await pumps;
  await Promise.all([client.end(), server.end()]);
  const digests = await Promise.all([client.finish(), server.finish()]);
  const wanted = patternDigest(bytes);
  return {
    ...counts,
    bytes: 2 * bytes,
    intact: digests.every((one) => one.sha256 === wanted),
    useMs,
  };
}

/** One rotation, as a client without a proxy sees it. */
async function timeToUse(mesh: Mesh, side: Rotated): Promise<number> {
  const wanted = rotate(side).fingerprint256;
  const began = performance.now();
  const script = `${import.meta.dir}/handshakes.ts`;
  const watching = mesh.c.start(["bun", script, side.pod.address4, "8080", wanted]);
  await watching.says(/^seen/m);
  return performance.now() - began;
}

/** New connections from pod a to pod b without pause, 32 at once. */
class Load {
  readonly #mesh: Mesh;
  readonly #script = `${import.meta.dir}/load.ts`;
  #over = false;
  #running: Promise<{ connections: number; failed: number }> | null = null;

  constructor(mesh: Mesh) {
    this.#mesh = mesh;
  }

  async begin(): Promise<void> {
    await this.#mesh.b.start(["bun", this.#script, "serve"]).says(/serving/);
    this.#running = this.#run();
  }

  async end(): Promise<{ connections: number; failed: number }> {
    this.#over = true;
    return (await this.#running) ?? { connections: 0, failed: 0 };
  }

  async #run(): Promise<{ connections: number; failed: number }> {
    const sum = { connections: 0, failed: 0 };
    const { a, b } = this.#mesh;
    while (!this.#over) {
      const { stdout } = await a.run(["bun", this.#script, "connections", "500", b.address4]);
      const { done, failed } = JSON.parse(stdout) as { done: number; failed: number };
      sum.connections += done;
      sum.failed += failed;
    }
    return sum;
  }
}
