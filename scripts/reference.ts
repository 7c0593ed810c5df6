/** Regenerates the topic's option table from the program itself. */
import { optionTable } from "../test/support/reference.ts";
import { readArguments } from "./usage.ts";

readArguments(
  `Usage: bun scripts/reference.ts

Writes the table of options in src/help/options.md again, from the program itself. Run it after a change to an option.

Options:
  --help    show this

Examples:
  bun scripts/reference.ts

Exit codes: 0 written, 1 failed, 2 a mistake on the command line.
`,
  0,
);

const file = "src/help/options.md";
const text = await Bun.file(file).text();
await Bun.write(
  file,
  text.replace(/\| Option \| Default \|(?:.*\n)+/, () => `${optionTable()}\n`),
);
