/**
 * Writes the golden files anew: `bun test/golden/capture.ts` as root, with nft 1.0.6 (Debian 12).
 * What nft sends is taken from its own `--debug=mnl`, in a network namespace of its own.
 */
import { planText } from "../../src/intercept/rules/text.ts";
import { goldenText, readNftDebug } from "../support/golden.ts";
import { changedTable, changes } from "../support/changes.ts";
import { plans } from "../support/plans.ts";

for (const [name, plan] of Object.entries(plans)) {
  const text = planText(plan);
  const ruleset = text.slice(text.indexOf("table inet"), text.indexOf("\nEND"));
  const command = ["unshare", "--net", "nft", "--debug=mnl", "-f", "-"];
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { stdin: Buffer.from(ruleset) });
  if (exitCode !== 0) throw new Error(stderr.toString());
  const head = `# sed '/^table/,/^}/!d' ${name}.sh | nft --debug=mnl -f -   (nft 1.0.6; body of each message)\n`;
  const messages = readNftDebug(stdout.toString() + stderr.toString());
  await Bun.write(`${import.meta.dir}/${name}.sh`, text);
  await Bun.write(`${import.meta.dir}/${name}.hex`, head + goldenText(messages));
}

const captured = changes.map(([command]) => {
  const script = `nft '${changedTable}' && nft --debug=mnl '${command}'`;
  const { stdout, stderr } = Bun.spawnSync(["unshare", "--net", "sh", "-c", script]);
  return `# nft ${command}\n${goldenText(readNftDebug(stdout.toString() + stderr.toString()))}`;
});
await Bun.write(`${import.meta.dir}/changes.hex`, captured.join(""));
