/** The manual's topics, for tests that compare them with the program. */
import { topics } from "../../src/help/topics.ts";

/** Throws if there is no such topic. */
export function topicText(name: string): string {
  const topic = topics.find((one) => one.name === name);
  if (topic === undefined) throw new Error(`there is no topic ${name}`);
  return topic.text;
}

/** The policies shown in the manual. */
export function shownPolicies(): readonly string[] {
  const all = topics.map(({ text }) => text).join("\n");
  return [...all.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, text = ""]) => text);
}

/** The cells in the first column of a topic's tables that are a single name in backticks. */
export function namedRows(topic: string): readonly string[] {
  return [...topicText(topic).matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name = ""]) => name);
}
