/** A topic of the manual: a markdown file with its title as heading and its subject in the first sentence. Pure. */

export type Topic = {
  /** As in `tls-tproxy help NAME`; the file is NAME.md. */
  readonly name: string;
  readonly title: string;
  /** The first sentence, without full stop and markup. */
  readonly summary: string;
  readonly text: string;
};

/** One section of a topic, from its heading to the next. */
export type TopicSection = {
  readonly topic: string;
  /** The topic's title for the text before the first second-level heading. */
  readonly heading: string;
  readonly lines: readonly string[];
};

/** Throws for a text without a heading or a sentence, which is a bug. */
export function readTopic(name: string, text: string): Topic {
  const title = /^# (.+)\n/.exec(text)?.[1];
  const sentence = /^# .+\n\n([^]*?[.:])(?:\s|$)/.exec(text)?.[1];
  if (title === undefined || sentence === undefined)
    throw new Error(`the topic ${name} has no title, or no first sentence`);
  const summary = sentence.replaceAll(/\s+/g, " ").replaceAll(/[`*]/g, "").slice(0, -1);
  return { name, title, summary, text };
}

/** The sections of all topics that contain all words, in any order and case. */
export function search(
  topics: readonly Topic[],
  words: readonly string[],
): readonly TopicSection[] {
  const wanted = words.map((word) => word.toLowerCase());
  return topics.flatMap(sectionsOf).filter(({ heading, lines }) => {
    const text = [heading, ...lines].join("\n").toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}

/** The first line of a section that contains one of the words; else its first line. */
export function firstLine({ lines }: TopicSection, words: readonly string[]): string {
  const wanted = words.map((word) => word.toLowerCase());
  const held = lines.find((line) => wanted.some((word) => line.toLowerCase().includes(word)));
  return (held ?? lines[0] ?? "").trim();
}

/** A heading inside a code block is not one. */
function sectionsOf({ name, text }: Topic): readonly TopicSection[] {
  const sections: { topic: string; heading: string; lines: string[] }[] = [];
  let inCode = false;
  for (const line of text.split("\n")) {
    if (line.startsWith("```")) inCode = !inCode;
    const heading = inCode ? undefined : /^##? (.+)$/.exec(line)?.[1];
    if (heading !== undefined) sections.push({ topic: name, heading, lines: [] });
    else if (line !== "") sections.at(-1)?.lines.push(line);
  }
  return sections;
}
