/**
 * An application whose sockets have options that Bun cannot set, with blocking libc calls:
 * - `odd-socket.ts serve HOST PORT OPTIONS` answers each client with all that it received, as hex;
 * - `odd-socket.ts ask HOST PORT OPTIONS SAYS` sends SAYS and prints the answer, or "refused", or "silent".
 * - `odd-socket.ts echo HOST PORT OPTIONS` connects, and answers with all that it receives until the end.
 *
 * OPTIONS: "level:name:number" or "level:name=text", separated by commas; "port=" for its own port; "urgent" for a
 * server whose last byte is urgent. SAYS: hex, an urgent part with "!" before it.
 */
import { dlopen, ptr } from "bun:ffi";

import { parseHost } from "../../src/net/address.ts";
import { deadlineMs } from "./deadline.ts";

const { symbols: libc } = dlopen("libc.so.6", {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "i32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "i32"], returns: "i32" },
  listen: { args: ["i32", "i32"], returns: "i32" },
  accept: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  connect: { args: ["i32", "ptr", "i32"], returns: "i32" },
  send: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
  recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
  shutdown: { args: ["i32", "i32"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
});

const msgOob = 1;
const patienceMs = deadlineMs(2000);
const [role, host = "", port = "", options = "", says = ""] = process.argv.slice(2);
if (role === "serve") await serve();
else if (role === "echo") echo();
else await ask();

async function serve(): Promise<void> {
  const listening = opened();
  must(libc.bind(listening, ptr(address(host, Number(port))), addressBytes()));
  must(libc.listen(listening, 16));
  console.log("serving");
  await Bun.sleep(0);
  for (;;) {
    const fd = must(libc.accept(listening, null, null));
    const answer = Buffer.from(heard(fd).toString("hex"));
    if (options.includes("urgent")) say(fd, answer, msgOob);
    else say(fd, answer, 0);
    libc.close(fd);
  }
}

async function ask(): Promise<void> {
  const began = performance.now();
  const fd = opened();
  if (libc.connect(fd, ptr(address(host, Number(port))), addressBytes()) !== 0) {
    console.log(performance.now() - began < patienceMs ? "refused" : "silent");
    return;
  }
  for (const part of says.split(",").filter((one) => one !== "")) {
    const urgent = part.startsWith("!");
    say(fd, Buffer.from(part.replace("!", ""), "hex"), urgent ? msgOob : 0);
    // Each part is a segment of its own, because a later urgent byte replaces an earlier one.
    await Bun.sleep(50);
  }
  libc.shutdown(fd, 1);
  const answer = heard(fd).toString();
  const late = performance.now() - began >= patienceMs;
  console.log(answer === "" ? (late ? "silent" : "refused") : answer);
}

function echo(): void {
  const fd = opened();
  must(libc.connect(fd, ptr(address(host, Number(port))), addressBytes()));
  const buffer = new Uint8Array(65_536);
  for (;;) {
    const length = Number(libc.recv(fd, ptr(buffer), buffer.length, 0));
    if (length <= 0) return;
    say(fd, buffer.subarray(0, length), 0);
  }
}

function opened(): number {
  const fd = must(libc.socket(isIpv6() ? 10 : 2, 1, 0));
  option(fd, 1, 2, integer(1));
  const patience = new BigInt64Array([BigInt(Math.ceil(patienceMs / 1000)), 0n]);
  if (role === "ask") {
    option(fd, 1, 20, patience);
    option(fd, 1, 21, patience);
  }
  for (const text of options.split(",").filter((one) => one !== "")) {
    const [, level, name, number] = /^(\d+):(\d+):(\d+)$/.exec(text) ?? [];
    const [, at, of, word] = /^(\d+):(\d+)=(.+)$/.exec(text) ?? [];
    const [, own] = /^port=(\d+)$/.exec(text) ?? [];
    if (number !== undefined) option(fd, Number(level), Number(name), integer(Number(number)));
    if (word !== undefined) option(fd, Number(at), Number(of), Buffer.from(`${word}\0`));
    const any = isIpv6() ? "::" : "0.0.0.0";
    if (own !== undefined) must(libc.bind(fd, ptr(address(any, Number(own))), addressBytes()));
  }
  return fd;
}

function heard(fd: number): Buffer {
  const buffer = new Uint8Array(65_536);
  const all: Uint8Array[] = [];
  for (;;) {
    const length = Number(libc.recv(fd, ptr(buffer), buffer.length, 0));
    if (length <= 0) return Buffer.concat(all);
    all.push(buffer.slice(0, length));
  }
}

function say(fd: number, bytes: Uint8Array, flags: number): void {
  if (bytes.length > 0) libc.send(fd, ptr(bytes), bytes.length, flags);
}

function option(fd: number, level: number, name: number, value: NodeJS.TypedArray): void {
  must(libc.setsockopt(fd, level, name, ptr(value), value.byteLength));
}

function integer(value: number): Int32Array {
  return new Int32Array([value]);
}

/** struct sockaddr_in, struct sockaddr_in6. */
function address(of: string, at: number): Uint8Array {
  const bytes = new Uint8Array(addressBytes());
  const view = new DataView(bytes.buffer);
  view.setUint16(0, isIpv6() ? 10 : 2, true);
  view.setUint16(2, at);
  bytes.set(parseHost(of), isIpv6() ? 8 : 4);
  return bytes;
}

function addressBytes(): number {
  return isIpv6() ? 28 : 16;
}

function isIpv6(): boolean {
  return host.includes(":");
}

function must(result: number): number {
  if (result < 0) throw new Error("a system call has failed");
  return result;
}
