/** The versions of Linux that check and the manual ask for are the same. */
import { expect, test } from "bun:test";

import { topicText } from "../../../support/topics.ts";

/** "5.4", "5.17" in order. */
function versionsIn(text: string): readonly string[] {
  const found = [...text.matchAll(/Linux (\d+\.\d+)/g)].map(([, version = ""]) => version);
  return [...new Set(found)].toSorted((a, b) => numberOf(a) - numberOf(b));
}

function numberOf(version: string): number {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return 1000 * major + minor;
}

test("each version in a remedy is in the manual, and the lowest is what the manual requires", async () => {
  const source = await Bun.file("src/tools/check/kernel.ts").text();
  const remedies = [...source.matchAll(/remedy: "([^"]+)"/g)].map(([, text = ""]) => text);
  const asked = versionsIn(remedies.join("\n"));
  const section = /## What it runs on[^]*/.exec(topicText("compatibility"))?.[0] ?? "";
  expect(asked).toEqual(["5.4", "5.9", "5.17"]);
  expect(versionsIn(section)).toEqual(expect.arrayContaining([...asked]));
  expect(section).toContain(`- Linux ${asked[0]} or later`);
});
