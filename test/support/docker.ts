/** The Docker engine through its command line, and the image with the tests' programs. */
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";

import type { Output } from "./pods.ts";
import { temporaryDirectory } from "./temporary.ts";

/** Everything that tests create has this label, with the pid of its process. */
export const label = "tproxy-test";

/** `docker run` options for a container that is removed when it ends. */
export const transient: readonly string[] = [
  "run",
  "--rm",
  "--pull",
  "never",
  "--label",
  `${label}=${process.pid}`,
];

/** The image under test. Throws if there is none: a test that cannot run fails with a message. */
export function imageUnderTest(): string {
  const image = process.env["TPROXY_IMAGE"] ?? "";
  if (image !== "") return image;
  throw new Error("TPROXY_IMAGE names no image: scripts/image.sh makes one, tproxy:dev");
}

/** Runs docker; the caller judges the exit code. */
export async function tryDocker(...args: readonly string[]): Promise<Output> {
  const child = Bun.spawn(["docker", ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [code, stdout, stderr] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code, stdout, stderr };
}

/** Runs docker and returns its output; throws if it fails. */
export async function docker(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await tryDocker(...args);
  if (code !== 0) throw new Error(`docker ${args.join(" ")}: ${stderr}`);
  return stdout.trim();
}

/** Throws without an engine or an image; removes what a killed run has left. */
export async function requireEngine(): Promise<void> {
  if (Bun.which("docker") === null || (await tryDocker("version")).code !== 0)
    throw new Error(
      `no Docker engine answers at ${process.env["DOCKER_HOST"] ?? "its usual place"}: ` +
        "run these tests by scripts/engine.sh run bun test test/docker",
    );
  const image = imageUnderTest();
  if ((await tryDocker("image", "inspect", image)).code !== 0)
    throw new Error(`the engine has no image ${image}: run scripts/image.sh`);
  await sweep();
}

async function sweep(): Promise<void> {
  for (const [list, remove] of [
    [
      ["ps", "--all"],
      ["rm", "--force", "--volumes"],
    ],
    [
      ["network", "ls"],
      ["network", "rm"],
    ],
  ] as const) {
    const format = `{{.ID}} {{.Label "${label}"}}`;
    const lines = await docker(...list, "--filter", `label=${label}`, "--format", format);
    for (const line of lines.split("\n")) {
      const [id = "", pid = ""] = line.split(" ");
      if (id !== "" && !existsSync(`/proc/${pid}`)) await tryDocker(...remove, id);
    }
  }
}

/** The image of everything except the proxy: pause containers, applications, and inspection tools. */
export async function toolsImage(): Promise<string> {
  const name = "tproxy-test-tools";
  const image = `${name}:${new Bun.CryptoHasher("sha256")
    .update(await contents())
    .digest("hex")
    .slice(0, 16)}`;
  if ((await tryDocker("image", "inspect", image)).code === 0) return image;
  const root = temporaryDirectory();
  layOut(root);
  const packing = Bun.spawn(["tar", "-C", root, "--owner=0", "--group=0", "-c", "."], {
    stdout: "pipe",
  });
  const change = "ENV PATH=/bin OPENSSL_CONF=/etc/openssl.cnf";
  const importing = Bun.spawn(
    ["docker", "import", "--change", change, "--change", `LABEL ${label}=tools`, "-", image],
    { stdin: packing.stdout, stdout: "ignore", stderr: "pipe" },
  );
  if ((await importing.exited) !== 0)
    throw new Error(`docker import: ${await new Response(importing.stderr).text()}`);
  return image;
}

/** The list of programs, and this project's own files, as text. */
async function contents(): Promise<string> {
  const sizes = programs.map((program) => `${program} ${Bun.file(pathOf(program)).size}`);
  const sources = await Promise.all(
    scripts.map(async (script) => await Bun.file(`${import.meta.dir}/${script}`).text()),
  );
  return [...sizes, Bun.version, ...sources, await Bun.file(import.meta.path).text()].join("\n");
}

function layOut(root: string): void {
  for (const directory of ["bin", "etc", "lib64", "tests", "www", "tmp"])
    mkdirSync(`${root}/${directory}`, { recursive: true });
  copyFileSync("/bin/busybox", `${root}/bin/busybox`);
  for (const applet of Bun.spawnSync(["/bin/busybox", "--list"]).stdout.toString().split("\n"))
    if (applet !== "" && applet !== "busybox") symlinkSync("busybox", `${root}/bin/${applet}`);
  for (const program of programs.slice(1)) place(root, program);
  if (existsSync(extensions)) cpSync(extensions, `${root}${extensions}`, { recursive: true });
  for (const script of scripts) cpSync(`${import.meta.dir}/${script}`, `${root}/tests/${script}`);
  chmodSync(`${root}/tmp`, 0o1777);
  copyFileSync("/etc/ssl/openssl.cnf", `${root}/etc/openssl.cnf`);
  writeFileSync(`${root}/etc/nsswitch.conf`, "hosts: files dns\n");
  writeFileSync(`${root}/etc/passwd`, "root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\n");
}

/** Copies a program and the libraries that it loads to the paths where it looks for them. */
function place(root: string, program: string): void {
  const path = pathOf(program);
  rmSync(`${root}/bin/${program}`, { force: true }); // busybox has an applet with that name.
  copyFileSync(path, `${root}/bin/${program}`);
  const needed = Bun.spawnSync(["ldd", path]).stdout.toString();
  for (const [, library = ""] of needed.matchAll(/(\/\S+) \(0x/g)) {
    mkdirSync(dirname(`${root}${library}`), { recursive: true });
    copyFileSync(library, `${root}${library}`);
  }
}

function pathOf(program: string): string {
  const path = program === "bun" ? process.execPath : Bun.which(program, { PATH: places });
  if (path !== null && existsSync(path)) return path;
  throw new Error(
    `container tests need ${program} (Debian: apt-get install ${packageOf(program)})`,
  );
}

function packageOf(program: string): string {
  return packages.get(program) ?? program;
}

const places = `/bin:/usr/bin:/usr/sbin:/sbin`;
const programs = ["busybox", "bun", "curl", "ip", "nft", "openssl", "tcpdump"] as const;
const packages = new Map([
  ["busybox", "busybox-static"],
  ["ip", "iproute2"],
  ["nft", "nftables"],
]);
/** nft needs these to print Docker's own rules. */
const extensions = "/usr/lib/x86_64-linux-gnu/xtables";
/** The scripts that drive sockets for tests inside containers. */
const scripts = [
  "agent.ts",
  "calls.ts",
  "kubelet.ts",
  "mirror.ts",
  "pattern.ts",
  "probed.ts",
  "teller.ts",
] as const;
