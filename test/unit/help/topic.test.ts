/** Topics: their titles, search results, and appearance on terminals, in pipes and on code hosts. */
import { describe, expect, test } from "bun:test";

import { renderMarkdown } from "../../../src/help/render.ts";
import { firstLine, readTopic, search } from "../../../src/help/topic.ts";
import { topics } from "../../../src/help/topics.ts";

const small = readTopic(
  "small",
  "# Small things\n\nWhat is `small` and\n**why**. More.\n\n## Ants\n\nThey carry.\n\n```\n## no heading\n```\n\n## Bees\n\nThey fly.\n",
);

test("a topic's title is its heading, its summary the first sentence without markup", () => {
  expect([small.title, small.summary]).toEqual(["Small things", "What is small and why"]);
});

test("a text without a heading is refused", () => {
  expect(() => readTopic("bare", "no heading\n")).toThrow("bare has no title");
});

test("a search finds the sections that mention all words, in any case", () => {
  const found = search([small], ["THEY", "carry"]);
  expect(found.map(({ topic, heading }) => `${topic}: ${heading}`)).toEqual(["small: Ants"]);
  expect(firstLine(found[0] ?? { topic: "", heading: "", lines: [] }, ["carry"])).toBe(
    "They carry.",
  );
});

test("a heading inside a code block starts no section", () => {
  expect(search([small], ["no heading"]).map(({ heading }) => heading)).toEqual(["Ants"]);
});

describe.each(topics.map((topic) => [topic.name, topic] as const))("%s", (name, { text }) => {
  test("is in the file with its name, and within a topic's length", async () => {
    expect(await Bun.file(`src/help/${name}.md`).text()).toBe(text);
    const long = new Set(["protocol", "troubleshooting", "log", "metrics"]);
    expect(text.trimEnd().split("\n").length).toBeLessThanOrEqual(long.has(name) ? 500 : 150);
  });

  test("has no line over 120 characters: program output is folded", () => {
    expect(text.split("\n").filter((line) => line.length > 120)).toEqual([]);
  });

  test("has no dead links", async () => {
    for (const [, to = "", heading] of text.matchAll(/\]\(([^)#]+)(?:#([^)]*))?\)/g)) {
      if (to.startsWith("https://")) continue;
      const target = await Bun.file(`src/help/${to}`).text();
      const headings = target.matchAll(/^#+ (.+)$/gm).map(([, one = ""]) => anchorOf(one));
      if (heading !== undefined) expect([...headings]).toContain(heading);
    }
  });

  test("keeps all its words when formatted for a terminal", () => {
    const shown = lettersOf(renderMarkdown(text, { columns: 80, colour: false }));
    const prose = text.replaceAll(/\]\([^)]*\)|^```.*$/gm, "");
    for (const word of prose.match(/[\w-]{12,}/g) ?? []) expect(shown).toContain(lettersOf(word));
  });

  test("is printed unchanged into a pipe", () => {
    expect(renderMarkdown(text, { columns: null, colour: true })).toBe(text);
  });
});

/** Leaves out frames and line breaks. */
function lettersOf(text: string): string {
  return text.replaceAll(/[^\w-]+/g, "");
}

/** An anchor as code hosts make it: lower case, hyphens for spaces, no punctuation. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\s-]/g, "")
    .replaceAll(" ", "-");
}
