/** Anything but a regular file of limited size is refused at once by its type, even behind a link. */
import { expect, test } from "bun:test";
import { linkSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";

import { FileError, readRegularFile } from "../../../src/runtime/files.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const folder = temporaryDirectory();
const path = (name: string): string => `${folder}/${name}`;
const bytesMax = 1000;

function refusal(name: string): string {
  try {
    return `read: ${readRegularFile(name, bytesMax).toString("utf8", 0, 20)}`;
  } catch (error) {
    if (error instanceof FileError) return error.message;
    throw error;
  }
}

writeFileSync(path("good"), "text");
symlinkSync("good", path("link"));
symlinkSync("loop", path("loop"));
symlinkSync("other", path("loops"));
symlinkSync("loops", path("other"));
symlinkSync("/dev/zero", path("zero"));
Bun.spawnSync(["mkfifo", path("fifo")]);
symlinkSync("fifo", path("to-fifo"));
mkdirSync(path("directory"));
writeFileSync(path("large"), "");
truncateSync(path("large"), 10 * 2 ** 30);
writeFileSync(path("exact"), "x".repeat(bytesMax));
writeFileSync(path("over"), "x".repeat(bytesMax + 1));
Bun.listen({ unix: path("socket"), socket: { data: () => undefined } }).unref();

test.each([
  ["good", "read: text"],
  ["link", "read: text"],
  ["exact", "read: xxxxxxxxxxxxxxxxxxxx"],
  ["over", "it is larger than 1000 bytes"],
  ["large", "it is larger than 1000 bytes"],
  ["fifo", "it is a FIFO, it must be a regular file"],
  ["to-fifo", "it is a FIFO, it must be a regular file"],
  ["directory", "it is a directory, it must be a regular file"],
  ["socket", "it is a socket, it must be a regular file"],
  ["zero", "it is a device, it must be a regular file"],
  ["loop", "its symbolic links lead in a circle"],
  ["loops", "its symbolic links lead in a circle"],
  ["none", "there is no such file"],
  ["good/below", "there is no such file: a part of its path is not a directory"],
  ["x".repeat(300), "its name is too long"],
])("%s: %s", (name, expected) => {
  expect(refusal(path(name))).toBe(expected);
});

test.each([
  ["/dev/zero", /a device/],
  ["/dev/urandom", /a device/],
  ["/dev/full", /a device/],
  ["/dev/null", /a device/],
  ["/dev/tty", /a device|cannot be read/],
  ["/proc/self/mem", /cannot be read|larger/],
  ["/proc/kmsg", /nothing to read|cannot be read|may not|larger/],
  ["/proc/self/pagemap", /larger|cannot be read|may not/],
  ["/proc/self/smaps", /larger than 1000 bytes/],
  ["/proc/self/fd/0", /a device|a FIFO|a socket|read|no such/],
])("%s ends at once", (name, expected) => {
  expect(refusal(name)).toMatch(expected);
});

test("a file that becomes a FIFO between the two checks is refused or read, but never waited for", async () => {
  const [file, fifo, at] = [path("is-file"), path("is-fifo"), path("swapped")];
  writeFileSync(file, "text");
  Bun.spawnSync(["mkfifo", fifo]);
  linkSync(file, at);
  const swap = new Worker(
    `data:text/javascript,${encodeURIComponent(`
      import { linkSync, renameSync } from "node:fs";
      const [file, fifo, at] = ${JSON.stringify([file, fifo, at])};
      for (let turn = 0; turn < 4000; turn += 1) {
        linkSync(turn % 2 ? file : fifo, at + ".new");
        renameSync(at + ".new", at);
      }
      self.postMessage("done");
    `)}`,
  );
  const progress = { done: false };
  swap.addEventListener("message", () => {
    progress.done = true;
  });
  const seen = new Set<string>();
  while (!progress.done) {
    for (let turn = 0; turn < 50; turn += 1) seen.add(refusal(at));
    await Bun.sleep(0);
  }
  swap.terminate();
  expect([...seen].toSorted()).toEqual(["it is a FIFO, it must be a regular file", "read: text"]);
});
