/**
 * Rotates the credentials of two proxies under load and tells what became of it, and how long a new certificate takes
 * until it is used. As root: `bun scripts/rotation.ts [rotations]`.
 */
import { Mesh } from "../test/support/mesh.ts";
import { Network } from "../test/support/pods.ts";
import { rotateMesh } from "../test/support/rotation.ts";

const turns = Number(process.argv[2] ?? 20);
const network = Network.make();
try {
  const figures = await rotateMesh(new Mesh(network), turns, 1_000_000_000);
  const sorted = figures.useMs.toSorted((a, b) => a - b);
  const at = (part: number): string =>
    (sorted[Math.floor(part * (sorted.length - 1))] ?? 0).toFixed(0);
  console.log(`rotations, each on both sides      ${turns}`);
  console.log(`new connections, failed            ${figures.connections}, ${figures.failed}`);
  console.log(
    `GB both ways, digests as sent      ${figures.bytes / 1e9}, ${figures.intact ? "yes" : "NO"}`,
  );
  console.log(
    `from rename to use, ms             median ${at(0.5)}, least ${at(0)}, most ${at(1)}`,
  );
  process.exitCode = figures.failed === 0 && figures.intact ? 0 : 1;
} finally {
  await network.dispose();
}
