/** Writes what README has from the program anew: the help block and the table of options. After a build. */
import { optionTable } from "../test/support/reference.ts";

const { stdout } = Bun.spawnSync(["bin/tproxy", "--help"]);
const help = stdout.toString().trimEnd();
const readme = await Bun.file("README.md").text();
await Bun.write(
  "README.md",
  readme
    .replace(/```\nUsage: [^]*?\n```\n/, () => `\`\`\`\n${help}\n\`\`\`\n`)
    .replace(/\| Option \| Environment \|[^]*?\n(?=\n)/, () => optionTable()),
);
