/**
 * A watched file replaced by something that is not a regular file changes nothing: one line says why, and traffic
 * continues.
 */
import {
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { PolicyFile } from "../support/policy.ts";
import { curl } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const folder = temporaryDirectory();
let made = 0;

/** Creates it under another name, to be renamed over the file. */
type Make = (path: string, file: string) => void;

const kinds: Readonly<Record<string, Make>> = {
  "a FIFO": (path) => {
    Bun.spawnSync(["mkfifo", path]);
  },
  "a device": (path) => {
    symlinkSync("/dev/zero", path);
  },
  "a directory": (path) => {
    mkdirSync(path);
  },
  "larger than": (path) => {
    writeFileSync(path, "");
    truncateSync(path, 10 * 2 ** 30);
  },
  "in a circle": (path, file) => {
    symlinkSync(file, path);
  },
};

/** Replaces the file, and returns a function that restores it. */
function replace(file: string, make: Make): () => void {
  made += 1;
  const [own, text] = [`${folder}/${made}`, readFileSync(file)];
  make(own, file);
  renameSync(file, `${own}-before`);
  renameSync(own, file);
  return () => {
    renameSync(file, `${own}-after`);
    writeFileSync(`${own}-new`, text, { mode: 0o600 });
    renameSync(`${own}-new`, file);
  };
}

test("policy, certificate, key and CA bundle replaced at runtime: the proxy serves on and names each", async () => {
  const mesh = Mesh.create();
  const policy = new PolicyFile("{}");
  const files = mesh.credentials(mesh.b);
  mesh.proxies.push(await mesh.proxy(mesh.a));
  const proxy = await mesh.b.proxy([...flagsOf(files), ...policy.flags]);
  await serveHttp(mesh.b, 8000, "served");
  const [, path = ""] = policy.flags;
  for (const [option, file] of [
    ["--policy", path],
    ["--cert", files.certificate],
    ["--key", files.key],
    ["--ca-cert", files.authority],
  ] as const)
    for (const [words, make] of Object.entries(kinds)) {
      const undo = replace(file, make);
      await proxy.says(new RegExp(`^W.* stays? in use: ${option} ${file}: .*${words}`, "m"));
      expect((await curl(mesh.a, `http://${mesh.b.address4}:8000/`)).output).toBe("served");
      undo();
    }
  expect(await proxy.end()).toBe(0);
});
