/** Changes to watched files are reported once the files are complete; changes to other files are not. */
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { afterAll, expect, test } from "bun:test";

import { signatureOf, WatchedFiles } from "../../../src/reload/watched-files.ts";
import { deadlineMs } from "../../support/deadline.ts";
import { emptyDirectory, Watched } from "../../support/watched.ts";

/** The delay that a loaded machine may add to any wait. */
const slackMs = deadlineMs(900);
const renamedMs = 100;
const writtenMs = 1000;
const pollMs = 5000;

/** Elapsed time is what these tests measure. */
const moment = Bun.sleep;

/** Watchers keep no process alive, and the test runner would spin with nothing to wait for. */
const alive = setInterval(() => undefined, pollMs);
afterAll(() => {
  clearInterval(alive);
});

test.concurrent("a replaced file is reported after a tenth of a second", async () => {
  using files = new Watched();
  const began = performance.now();
  files.replace(files.certificate, "new");
  const { at, seen } = await files.look(1);
  expect(seen).toBe("new old");
  expect(at - began).toBeGreaterThanOrEqual(renamedMs - 1);
  expect(at - began).toBeLessThan(renamedMs + slackMs / 2);
});

test.concurrent("files replaced one after the other are reported together", async () => {
  using files = new Watched();
  files.replace(files.certificate, "new");
  await moment(renamedMs / 2);
  files.replace(files.key, "new");
  expect((await files.look(1)).seen).toBe("new new");
  expect(files.looks.length).toBe(1);
});

test.concurrent("a changed link is reported, as in Kubernetes' volumes", async () => {
  const directory = emptyDirectory();
  for (const one of ["1", "2"]) {
    mkdirSync(`${directory}/${one}`);
    writeFileSync(`${directory}/${one}/key.pem`, one);
  }
  symlinkSync("1", `${directory}/..data`);
  symlinkSync("..data/key.pem", `${directory}/key.pem`);
  const { promise, resolve } = Promise.withResolvers<string>();
  const files = new WatchedFiles([`${directory}/key.pem`], () => {
    resolve(readFileSync(`${directory}/key.pem`, "utf8"));
  });
  symlinkSync("2", `${directory}/..new`);
  renameSync(`${directory}/..new`, `${directory}/..data`);
  expect(await promise).toBe("2");
  files.stop();
});

test.concurrent("a file written in place is reported once, after its last byte", async () => {
  using files = new Watched();
  writeFileSync(files.certificate, "");
  let last = 0;
  for (const part of ["n", "e", "w"]) {
    await moment(writtenMs / 3);
    appendFileSync(files.certificate, part);
    last = performance.now();
    expect(files.looks).toEqual([]);
  }
  const { at, seen } = await files.look(1);
  expect(seen).toBe("new old");
  expect(at - last).toBeGreaterThanOrEqual(writtenMs - 1);
  expect(at - last).toBeLessThan(writtenMs + slackMs);
  expect(files.looks.length).toBe(1);
});

test.concurrent("a file that is written without pause is reported all the same", async () => {
  using files = new Watched();
  const began = performance.now();
  while (files.looks.length === 0 && performance.now() - began < 2 * pollMs) {
    appendFileSync(files.certificate, ".");
    await moment(writtenMs / 5);
  }
  expect(files.looks.length).toBe(1);
});

test.concurrent("other files in the directory may be written", async () => {
  using files = new Watched();
  writeFileSync(`${files.directory}/other`, "");
  // Creating it changes the directory, and could concern a watched file.
  await files.look(1);
  const began = performance.now();
  while (performance.now() - began < 2 * writtenMs) {
    appendFileSync(`${files.directory}/other`, ".");
    await moment(writtenMs / 5);
  }
  expect(files.looks.length).toBe(1);
});

test.concurrent("a directory that is removed and created again is noticed", async () => {
  using files = new Watched();
  rmSync(files.directory, { recursive: true });
  expect((await files.look(1)).seen).toBe("gone");
  mkdirSync(files.directory);
  for (const path of [files.certificate, files.key]) writeFileSync(path, "new");
  const { seen, at } = await files.look(2);
  expect(seen).toBe("new new");
  // From then on it is watched like the old one.
  expect(performance.now() - at).toBeLessThan(slackMs);
  const looks = files.looks.length;
  files.replace(files.key, "newer");
  const began = performance.now();
  expect((await files.look(looks + 1)).seen).toBe("new newer");
  expect(performance.now() - began).toBeLessThan(renamedMs + slackMs);
});

test.concurrent("a file that is missing at first is reported when it appears", async () => {
  const directory = `${emptyDirectory()}/later`;
  const { promise, resolve } = Promise.withResolvers<string>();
  const files = new WatchedFiles([`${directory}/key.pem`], () => {
    resolve(readFileSync(`${directory}/key.pem`, "utf8"));
  });
  mkdirSync(directory);
  writeFileSync(`${directory}/key.pem`, "new");
  expect(await promise).toBe("new");
  files.stop();
});

test.concurrent(
  "a change between the first read and the start of the watch is reported",
  async () => {
    const path = `${emptyDirectory()}/key.pem`;
    writeFileSync(path, "old");
    const before = signatureOf([path]);
    writeFileSync(path, "newer");
    const { promise, resolve } = Promise.withResolvers<string>();
    const look = (): void => {
      resolve(readFileSync(path, "utf8"));
    };
    const files = new WatchedFiles([path], look, before);
    expect(await promise).toBe("newer");
    files.stop();
  },
);

test.concurrent("nothing is reported after the end", async () => {
  const files = new Watched();
  files.replace(files.certificate, "new");
  files[Symbol.dispose]();
  await moment(3 * renamedMs);
  expect(files.looks).toEqual([]);
});
