/** Writes the table of options in its topic again, from the program itself. */
import { optionTable } from "../test/support/reference.ts";

const file = "src/help/options.md";
const text = await Bun.file(file).text();
await Bun.write(
  file,
  text.replace(/\| Option \| Default \|(?:.*\n)+/, () => `${optionTable()}\n`),
);
