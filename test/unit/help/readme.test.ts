/** README is short, names every topic, and has no dead link; the manual's commands match the program. */
import { describe, expect, test } from "bun:test";

import { makeProgram } from "../../../src/cli/program.ts";
import { topics } from "../../../src/help/topics.ts";

const readme = await Bun.file("README.md").text();
const program = makeProgram();

test("README has no more than 260 lines, none over 120 characters except in program output", () => {
  expect(readme.split("\n").length).toBeLessThanOrEqual(260);
  const prose = readme.replaceAll(/^```[^]*?^```$/gm, "");
  expect(prose.split("\n").filter((line) => line.length > 120)).toEqual([]);
});

test("README lists every topic with its first sentence, in help's order", () => {
  const rows = topics.map(({ name, summary }) => `- [${name}](src/help/${name}.md): ${summary}`);
  expect(readme.replaceAll(/\s+/g, " ")).toContain(` ${rows.join(" ")} `);
});

test("README's links lead to existing files", async () => {
  const links = [...readme.matchAll(/\]\(([^)]+)\)/g)].map(([, to = ""]) => to);
  expect(links.length).toBeGreaterThan(topics.length);
  for (const to of links) expect([to, await Bun.file(to).exists()]).toEqual([to, true]);
});

describe.each([["README", readme], ...topics.map(({ name, text }) => [name, text])])(
  "%s",
  (_name, text = "") => {
    test("has only commands and options of the program", () => {
      for (const command of commandsIn(text))
        expect([command, isKnown(command)]).toEqual([command, true]);
    });
  },
);

/** Everything after the program's name, in code blocks and in code within sentences. */
function commandsIn(text: string): readonly string[] {
  const joined = text.replaceAll("\\\n", " ");
  const blocks = [...joined.matchAll(/^```(?:sh|ini)?\n([^]*?)^```$/gm)].map(([, one = ""]) => one);
  const lines = blocks.flatMap((one) => one.split("\n"));
  const inline = [...joined.replaceAll(/^```[^]*?^```$/gm, "").matchAll(/`([^`]+)`/g)].map(
    ([, one = ""]) => one,
  );
  return [...lines, ...inline].flatMap((line) => {
    const found =
      /^(?:\$ |ExecStart\w*=\/usr\/local\/bin\/| *)(?:tls-tproxy|bin\/tproxy) (.*)$/.exec(line);
    return found === null ? [] : [(found[1] ?? "").replace(/\s+#.*$/, "")];
  });
}

function isKnown(words: string): boolean {
  const [first = ""] = words.split(" ");
  const command = program.commands.find((one) => one.name() === first);
  if (command === undefined && !first.startsWith("-") && first !== "…") return false;
  const all = [...program.options, ...(command?.options ?? [])];
  const options = new Set(all.map(({ long }) => long));
  const used = [...words.matchAll(/(?:^| )--?([a-z][a-z-]+)/g)].map(([, name]) => `--${name}`);
  return used.every((name) => name === "--help" || options.has(name));
}
