/** The plan as text and as bytes, compared with the golden text and with nft's own requests. */
import { describe, expect, test } from "bun:test";

import { tableBatch } from "../../src/intercept/kernel/encode.ts";
import { planText } from "../../src/intercept/rules/text.ts";
import { expectSameMessages } from "../support/golden.ts";
import { bytesOfLine, bytesOfRequest, lineOf, type Bytes } from "../support/message-lines.ts";
import { plans } from "../support/plans.ts";

async function golden(file: string): Promise<string> {
  return await Bun.file(`${import.meta.dir}/${file}`).text();
}

/** nft sends all chains, then all sets, then their elements, then rules; within a kind the order is the text's. */
function byKind(messages: readonly Bytes[]): readonly Bytes[] {
  return messages.toSorted((a, b) => kinds.indexOf(a.type & 0xff) - kinds.indexOf(b.type & 0xff));
}

/** NFT_MSG_: the table's creation and deletion stay in place. */
const kinds = [0, 2, 3, 9, 12, 6];

describe.each(Object.entries(plans))("%s", (name, plan) => {
  test("the text matches the golden one", async () => {
    expect(planText(plan)).toBe(await golden(`${name}.sh`));
  });

  test("the bytes match nft's", async () => {
    const requests = tableBatch(plan, new Map()).slice(1, -1);
    const [, ...theirs] = (await golden(`${name}.hex`)).trimEnd().split("\n");
    expectSameMessages(
      byKind(requests.map(bytesOfRequest)),
      byKind(theirs.map(bytesOfLine)).map(lineOf),
    );
  });
});
