/** House rules that no linter checks: layers, the map, and the only place of each power. */
import { Glob } from "bun";
import { expect, test } from "bun:test";
import { dirname, join, normalize } from "node:path";

import { makeProgram } from "../src/cli/program.ts";
import { literalsIn } from "./support/literals.ts";

/** Values and types are imported down this list, never up. A file belongs to the longest prefix that matches. */
const layers = [
  ["main.ts"],
  ["cli/"],
  ["tools/", "help/"],
  ["proxy/"],
  ["inbound.ts", "outbound.ts", "context.ts"],
  ["reload/"],
  ["status/"],
  ["connection/"],
  ["original-source/", "tls/", "detect/"],
  ["config.ts"],
  ["intercept/trial/", "intercept/repair/"],
  ["intercept/cleartext/"],
  ["intercept/kernel/"],
  ["intercept/rules/"],
  ["policy/", "identity/"],
  ["probe/"],
  ["netlink/"],
  ["relay/"],
  ["net/"],
  ["native/"],
  ["runtime/"],
] as const;

const comments = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm;

/** Options of kubectl and iptables in texts. */
const foreignOptions = ["--type", "--from-file", "--nfmask"] as const;

type Import = { readonly from: string; readonly to: string; readonly typeOnly: boolean };

const files = [...new Glob("**/*.ts").scanSync("src")].filter((file) => !file.endsWith(".d.ts"));
const sources = new Map<string, string>();
for (const file of files) {
  sources.set(file, await Bun.file(join("src", file)).text());
}

/** The number of files in each folder, including its subfolders. */
const folders = new Map<string, number>();
for (const file of new Glob("**/*").scanSync("src"))
  for (let at = file.indexOf("/"); at >= 0; at = file.indexOf("/", at + 1)) {
    const folder = file.slice(0, at + 1);
    folders.set(folder, (folders.get(folder) ?? 0) + 1);
  }

test("every file belongs to a layer", () => {
  expect(files.filter((file) => layerOf(file) === -1)).toEqual([]);
});

test("values and types are imported down the layers only", () => {
  const upward = files.flatMap(importsOf).filter(({ from, to }) => layerOf(to) < layerOf(from));
  expect(upward).toEqual([]);
});

test("no code of the running proxy imports tools/", () => {
  const reached = new Set(["cli/run.ts"]);
  for (const file of reached)
    for (const { to, typeOnly } of importsOf(file)) if (!typeOnly) reached.add(to);
  expect(reached.size).toBeGreaterThan(100);
  expect([...reached].filter((file) => file.startsWith("tools/"))).toEqual([]);
});

test("every folder and top-level file has a line in src/README.md", async () => {
  const map = await Bun.file("src/README.md").text();
  const places = [...folders.keys(), ...files.filter((file) => !file.includes("/"))];
  expect(places.filter((place) => !map.includes(`\n| \`${place}\` |`))).toEqual([]);
});

test("src/README.md lists the layers in order", async () => {
  const map = await Bun.file("src/README.md").text();
  const section = map.slice(map.indexOf("## Layers"), map.indexOf("## How an inbound"));
  const listed = [...section.matchAll(/^\d+\. (.+)$/gm)].map(([, line = ""]) =>
    [...line.matchAll(/`([^`]+)`/g)].map(([, place]) => place),
  );
  expect(listed).toEqual(layers.map((places) => [...places]));
});

test("no folder has fewer than three files", () => {
  expect([...folders].filter(([, count]) => count < 3)).toEqual([]);
});

test("src/README.md names only existing files", async () => {
  const map = await Bun.file("src/README.md").text();
  const named = [...map.matchAll(/`([a-z-]+\/[a-z/-]+\.ts)`/g)].map(([, file = ""]) => file);
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((file) => !files.includes(file) && file !== "test/tidy.test.ts")).toEqual([]);
});

test("comments name only existing files", () => {
  const places = ["src", "test", "scripts"].flatMap((folder) =>
    [...new Glob("**/*.ts").scanSync(folder)].map((file) => `/${folder}/${file}`),
  );
  const named = files.flatMap((file) =>
    commentsIn(file).flatMap((comment) =>
      [...comment.matchAll(/(?<![\w./-])[\w/.-]+\.ts\b/g)].map(([name]) => ({ file, name })),
    ),
  );
  expect(named.length).toBeGreaterThan(30);
  const isThere = (name: string): boolean => places.some((place) => place.endsWith(`/${name}`));
  expect(named.filter(({ name }) => !isThere(name))).toEqual([]);
});

test("an exported name is declared in one file only", () => {
  const places = new Map<string, readonly string[]>();
  for (const file of files)
    for (const name of exportedBy(file)) places.set(name, [...(places.get(name) ?? []), file]);
  const several = [...places].filter(([, found]) => new Set(found).size > 1);
  expect(several).toEqual([]);
});

test.each([
  ["bun:ffi", ["native/native.ts", "native/worker.ts"]],
  ["setTimeout(", ["runtime/deadline.ts"]],
  ["setInterval(", ["runtime/deadline.ts"]],
  ["process.exit(", ["main.ts"]],
] as const)("%s occurs in one place only", (power, places: readonly string[]) => {
  const users = files.filter((file) => withoutComments(file).includes(power));
  expect(users.filter((file) => !places.includes(file))).toEqual([]);
});

test.each([" as any", "@ts-ignore", "@ts-expect-error", "export default "])(
  "%p occurs nowhere",
  (phrase) => {
    expect(files.filter((file) => withoutComments(file).includes(phrase))).toEqual([]);
  },
);

test("every option in a string of src exists in the help", () => {
  const program = makeProgram();
  const options = [program, ...program.commands].flatMap((command) => command.options);
  const known = new Set([...options.map(({ long }) => long), "--help", ...foreignOptions]);
  const found = files.flatMap((file) =>
    literalsIn(sources.get(file) ?? "").flatMap(({ line, text }) =>
      [...text.matchAll(/(?<![\w-])--[a-z][a-z0-9-]*(?![a-z0-9-])(?<!-)/g)].map(([option]) => ({
        file,
        line,
        option,
      })),
    ),
  );
  expect(found.length).toBeGreaterThan(100);
  expect(found.filter(({ option }) => !known.has(option))).toEqual([]);
});

test("no test has its own deadline: deadlines are in support/deadline.ts", async () => {
  const own: string[] = [];
  for (const file of new Glob("**/*.test.ts").scanSync("test"))
    if (
      /^\s*\}, [\d_]+\);$|^\s*\{ timeout: |setDefaultTimeout\(/m.test(
        await Bun.file(join("test", file)).text(),
      )
    )
      own.push(file);
  expect(own).toEqual([]);
});

function layerOf(file: string): number {
  return layers.findIndex((layer) => layer.some((place) => file.startsWith(place)));
}

function importsOf(file: string): Import[] {
  const pattern = /^(?:import|export)( type)? [^;]*?from "(\.[^"]+)"/gm;
  return [...withoutComments(file).matchAll(pattern)]
    .filter((match) => match[2]?.endsWith(".ts") === true)
    .map((match) => ({
      from: file,
      to: normalize(join(dirname(file), match[2] ?? "")),
      typeOnly: match[1] !== undefined,
    }));
}

function exportedBy(file: string): string[] {
  const pattern =
    /^export (?:async |abstract )*(?:function\*?|class|const|let|type|interface) (\w+)/gm;
  return [...withoutComments(file).matchAll(pattern)].map(([, name = ""]) => name);
}

function withoutComments(file: string): string {
  return (sources.get(file) ?? "").replaceAll(comments, "");
}

function commentsIn(file: string): readonly string[] {
  return [...(sources.get(file) ?? "").matchAll(comments)].map(([text]) => text);
}
