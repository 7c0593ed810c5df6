/** Golden bytes: messages as hex, four bytes a line, so that a difference shows at its attribute. */
import type { Request } from "../../src/netlink/socket.ts";

/** A message without the fields that differ from run to run: sequence number and port. */
export type Bytes = { readonly type: number; readonly body: Uint8Array };

export function bytesOfRequest({ type, body }: Request): Bytes {
  return { type, body: new Uint8Array(Buffer.concat([...body])) };
}

/** "message 2566" and the body, four bytes a line. */
export function goldenText(messages: readonly Bytes[]): string {
  return messages
    .map(({ type, body }) => `message ${type}\n${body.toHex().replaceAll(/.{1,8}/g, "  $&\n")}`)
    .join("");
}

/** The messages that `nft --debug=mnl` has sent, without the batch's begin and end. */
export function readNftDebug(text: string): readonly Bytes[] {
  const messages: { type: number; words: string[] }[] = [];
  for (const line of Bun.stripANSI(text).split("\n")) {
    const type = /^\| (\d{5}) \| .{4} \|\s*\|\s+type/.exec(line)?.[1];
    const attribute = /^\|(\d{5})\|(.)(.)\|(\d{5})\|/.exec(line);
    const word = /^\| ((?:[0-9a-f]{2} ){3}[0-9a-f]{2})\s+\|/.exec(line)?.[1];
    if (type !== undefined) messages.push({ type: Number(type), words: [] });
    else if (attribute !== null) messages.at(-1)?.words.push(headOf(attribute));
    else if (word !== undefined) messages.at(-1)?.words.push(word.replaceAll(" ", ""));
  }
  const first = messages.findIndex(({ type }) => type === 16);
  const last = messages.findIndex(({ type }) => type === 17);
  return messages.slice(first + 1, last).map(({ type, words }) => ({
    type,
    body: Uint8Array.fromHex(words.join("")),
  }));
}

/** struct nlattr: length, and type with the flags N (nested) and B (network byte order). */
function headOf([, length, nested, order, type]: readonly string[]): string {
  const flags = (nested === "N" ? 0x8000 : 0) | (order === "B" ? 0x4000 : 0);
  return Buffer.from(Uint16Array.of(Number(length), Number(type) | flags).buffer).toString("hex");
}
