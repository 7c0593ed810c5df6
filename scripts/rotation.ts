/**
 * Rotates the credentials of two proxies under load; prints the load's failures, and how soon a new certificate is
 * used.
 */
import { Mesh } from "../test/support/mesh.ts";
import { Network } from "../test/support/pods.ts";
import { rotateMesh } from "../test/support/rotation.ts";
import { readArguments } from "./usage.ts";

const [rotations = "20"] = readArguments(
  `Usage: bun scripts/rotation.ts [ROTATIONS]

Renews the certificates of two proxies ROTATIONS times (20) while they carry connections, and prints how many failed and how
soon a new certificate is used. Needs root; the proxies run in network namespaces.

Options:
  --help    show this

Examples:
  bun scripts/rotation.ts 5

Exit codes: 0 no connection failed, 1 some did, 2 a mistake on the command line.
`,
  1,
);

const turns = Number(rotations);
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
