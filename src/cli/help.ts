/** `tls-tproxy help`: the manual, by topic, by command, or by a search word; and the page for man(1). */
import { Option, type Command } from "commander";

import { build } from "../runtime/build.ts";
import { ProxyError } from "../runtime/errors.ts";
import { exitCodes } from "../help/exit-codes.ts";
import { manPage } from "../help/man.ts";
import { renderMarkdown, type Terminal } from "../help/render.ts";
import { firstLine, search, type TopicSection } from "../help/topic.ts";
import { topics } from "../help/topics.ts";
import { info, type Item } from "../tools/report.ts";
import { addJsonOption, writeReport, type JsonFlag } from "./json.ts";
import { tableOf } from "./table.ts";

type Flags = JsonFlag & { readonly man?: boolean };

export function helpCommand(program: Command): void {
  const command = program.command("help");
  command.description("show the manual: a topic, a command, or the sections that mention a word");
  command.argument("[words...]", "a topic, a command, or words to look for");
  command.addOption(new Option("--man", "print the manual page for man(1)").conflicts("json"));
  addJsonOption(command);
  command.action((words: readonly string[], flags: Flags) => {
    if (flags.man === true) process.stdout.write(manOf(program));
    else if (flags.json === true) writeReport(command, true, topicItems(words));
    else if (words.length === 0) process.stdout.write(`${program.helpInformation()}${listOf()}`);
    else show(program, words);
  });
}

/** Throws USAGE if nothing mentions the words. */
function show(program: Command, words: readonly string[]): void {
  const [word = ""] = words;
  const named = words.length === 1;
  const topic = named ? topics.find(({ name }) => name === word) : undefined;
  const command = named ? program.commands.find((one) => one.name() === word) : undefined;
  if (topic !== undefined) {
    const options = command === undefined ? "" : optionsHint(word);
    process.stdout.write(renderMarkdown(topic.text, screen()) + options);
  } else if (command !== undefined) command.outputHelp();
  else process.stdout.write(foundText(sectionsWith(words), words));
}

/** Printed below a topic with the name of a command. */
function optionsHint(name: string): string {
  return `\nThe options of the command ${name}: tls-tproxy ${name} --help\n`;
}

/** Throws USAGE if no section mentions the words. */
function sectionsWith(words: readonly string[]): readonly TopicSection[] {
  const found = search(topics, words);
  if (found.length > 0) return found;
  const text = `no topic mentions ${JSON.stringify(words.join(" "))}. tls-tproxy help lists the topics`;
  throw new ProxyError("USAGE", text);
}

function foundText(found: readonly TopicSection[], words: readonly string[]): string {
  return [
    `${found.length} ${found.length === 1 ? "section mentions" : "sections mention"} ${words.join(" ")}:`,
    "",
    ...found.flatMap((section) => [
      `  ${section.topic}: ${section.heading}`,
      `      ${firstLine(section, words)}`,
    ]),
    "",
    "Read one with tls-tproxy help TOPIC.",
    "",
  ].join("\n");
}

function listOf(): string {
  const width = Math.max(...topics.map(({ name }) => name.length));
  const lines = topics.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return ["", "Topics (tls-tproxy help TOPIC):", ...lines, ""].join("\n");
}

/** All topics, or those that mention the words. Throws USAGE if none does. */
function topicItems(words: readonly string[]): readonly Item[] {
  const found = new Set(words.length === 0 ? [] : sectionsWith(words).map(({ topic }) => topic));
  return topics
    .filter(({ name }) => words.length === 0 || found.has(name))
    .map(({ name, title, summary }) => info(name, summary, { title }));
}

function manOf(program: Command): string {
  return manPage({ version: build.version, table: tableOf(program), topics, exitCodes });
}

/** NO_COLOR: no-color.org. */
function screen(): Terminal {
  const { columns, isTTY } = process.stdout;
  const colour = (process.env["NO_COLOR"] ?? "") === "";
  return { columns: isTTY ? columns : null, colour };
}
