/** README is short, names every topic, and has no dead link; the manual's commands match the program. */
import { describe, expect, test } from "bun:test";

import { CommanderError } from "commander";

import { normalizeArguments } from "../../../src/cli/arguments.ts";
import { examples, programExamples } from "../../../src/cli/examples.ts";
import { makeProgram } from "../../../src/cli/program.ts";
import { topics } from "../../../src/help/topics.ts";

const readme = await Bun.file("README.md").text();

test("README has no more than 260 lines, none over 120 characters", () => {
  const lines = readme.trimEnd().split("\n");
  expect(lines.length).toBeLessThanOrEqual(260);
  expect(lines.filter((line) => line.length > 120)).toEqual([]);
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
    test("has only commands that the program parses", () => {
      for (const command of commandsIn(text))
        expect([command, faultOf(command)]).toEqual([command, null]);
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

test("every example of a command's help parses", () => {
  const lines = [...Object.values(examples), programExamples].flatMap((own) =>
    own.map(([line]) => line),
  );
  for (const line of lines)
    expect([line, faultOf(line.replace(/^tls-tproxy /, ""))]).toEqual([line, null]);
});

/** Parses them like the program itself, without running anything. */
function faultOf(line: string): string | null {
  const words = [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, plain]) => double ?? single ?? plain ?? "",
  );
  const end = words.findIndex((word) => /^(?:[|<>&;]|\d?>)/.test(word));
  const args = normalizeArguments(end === -1 ? words : words.slice(0, end));
  const silent = makeProgram();
  for (const command of [silent, ...silent.commands]) {
    command.action(() => undefined);
    command.configureOutput({ writeOut: () => undefined, outputError: () => undefined });
  }
  try {
    silent.parse(
      args.filter((word) => word !== "…"),
      { from: "user" },
    );
    return null;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 || isPlaceholder(error.message) ? null : error.message;
  }
}

/** A value that the reader must replace: NAME, or a shell variable. */
function isPlaceholder(message: string): boolean {
  return /(?:argument|value) '(?:[A-Z_:/]+|[^']*\$[^']*)' is invalid/.test(message);
}
