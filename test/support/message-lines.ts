/** Netlink messages as lines of the golden files, and as the programs that send them print them. */
import type { Request } from "../../src/netlink/socket.ts";

/** A message without the fields that differ from run to run: sequence number and port. */
export type Bytes = { readonly type: number; readonly body: Uint8Array };

export function bytesOfRequest({ type, body }: Request): Bytes {
  return { type, body: new Uint8Array(Buffer.concat([...body])) };
}

/** Type in decimal, a space, body in hex. */
export function lineOf({ type, body }: Bytes): string {
  return `${type} ${body.toHex()}`;
}

export function bytesOfLine(line: string): Bytes {
  const [type, body = ""] = line.split(" ");
  return { type: Number(type), body: Uint8Array.fromHex(body) };
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

/** The calls in the output of `strace -e trace=sendmsg -e write=all`: one message each. */
export function readStrace(text: string): readonly Bytes[] {
  return text
    .split(/^sendmsg\(/m)
    .slice(1)
    .map((call) => {
      const rows = Array.from(call.matchAll(/^ \| [0-9a-f]{5}  (.{49})/gm), ([, row = ""]) => row);
      return Buffer.from(rows.join("").replaceAll(" ", ""), "hex");
    })
    .map((bytes) => ({ type: bytes.readUInt16LE(4), body: new Uint8Array(bytes.subarray(16)) }));
}
