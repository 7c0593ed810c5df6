/** The memory limit in control groups of both versions, from inside and outside a container. */
import { closeSync } from "node:fs";
import { expect, test } from "bun:test";

import { MemoryLimits, openHiddenHierarchies } from "../../../src/native/memory-limit.ts";

const v1 = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory";
const v2 = "41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate";
const other = "33 31 0:30 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct";

/** The limit for these file contents; `meminfo` is 24 GiB. */
function limitOf(files: Readonly<Record<string, string>>): readonly [bytes: number, file: string] {
  const all: Readonly<Record<string, string>> = {
    "/proc/meminfo": "MemTotal:       25165824 kB\nMemFree:        1 kB\n",
    ...files,
  };
  const { bytes, file } = new MemoryLimits([], (path) => all[path] ?? null).read();
  return [bytes, file];
}

const total = [24 * 2 ** 30, "/proc/meminfo"] as const;

test("without control groups the limit is the machine's memory", () => {
  expect(limitOf({})).toEqual(total);
  expect(limitOf({ "/proc/self/cgroup": "0::/\n", "/proc/self/mountinfo": `${other}\n` })).toEqual(
    total,
  );
});

test.each(["memory.max", "memory.high"])("version 2: %s of the group itself", (name) => {
  const files = { "/proc/self/cgroup": "0::/a/b\n", "/proc/self/mountinfo": v2 };
  const file = `/sys/fs/cgroup/a/b/${name}`;
  expect(limitOf({ ...files, [file]: "268435456\n" })).toEqual([2 ** 28, file]);
});

test("version 2: the smallest limit of the group and its ancestors counts", () => {
  const groups = { "/proc/self/cgroup": "0::/a/b\n", "/proc/self/mountinfo": v2 };
  const files = {
    "/sys/fs/cgroup/a/b/memory.max": "max\n",
    "/sys/fs/cgroup/a/b/memory.high": "300000000\n",
    "/sys/fs/cgroup/a/memory.max": "200000000\n",
    "/sys/fs/cgroup/memory.max": "400000000\n",
  };
  expect(limitOf({ ...groups, ...files })).toEqual([200_000_000, "/sys/fs/cgroup/a/memory.max"]);
});

test("version 2: in a container with a cgroup namespace its own group is mounted", () => {
  const files = { "/proc/self/cgroup": "0::/\n", "/proc/self/mountinfo": v2 };
  const file = "/sys/fs/cgroup/memory.max";
  expect(limitOf({ ...files, [file]: "67108864\n" })).toEqual([2 ** 26, file]);
});

test("version 1: the memory controller's group is used, whatever other lines there are", () => {
  const files = {
    "/proc/self/cgroup": "9:name=systemd:/\n4:cpuset,memory:/pod/x\n1:cpu:/y\n0::/z\n",
    "/proc/self/mountinfo": [other, v1].join("\n"),
  };
  const file = "/sys/fs/cgroup/memory/pod/x/memory.limit_in_bytes";
  expect(limitOf({ ...files, [file]: "268435456\n" })).toEqual([2 ** 28, file]);
  const above = "/sys/fs/cgroup/memory/pod/memory.limit_in_bytes";
  expect(limitOf({ ...files, [file]: "9223372036854771712\n", [above]: "1000000\n" })).toEqual([
    1_000_000,
    above,
  ]);
});

test("version 1: a number larger than any memory means no limit", () => {
  const files = { "/proc/self/cgroup": "4:memory:/\n", "/proc/self/mountinfo": v1 };
  const file = "/sys/fs/cgroup/memory/memory.limit_in_bytes";
  expect(limitOf({ ...files, [file]: "9223372036854771712\n" })).toEqual(total);
});

test.each(["/docker/abc", "/../abc", "/elsewhere"])(
  "version 1: a container's part of the hierarchy is mounted, and its path is %s",
  (path) => {
    const files = {
      "/proc/self/cgroup": `4:memory:${path}\n`,
      "/proc/self/mountinfo": v1.replace(" / ", " /docker/abc "),
    };
    const file = "/sys/fs/cgroup/memory/memory.limit_in_bytes";
    expect(limitOf({ ...files, [file]: "67108864\n" })).toEqual([2 ** 26, file]);
  },
);

test("mount points with spaces, malformed lines and malformed numbers are handled", () => {
  const file = "/my groups/memory.max";
  const files = {
    "/proc/self/cgroup": "nonsense\n0::/\n",
    "/proc/self/mountinfo": `\ngarbage - cgroup2\n${v2.replace("/sys/fs/cgroup", String.raw`/my\040groups`)}`,
  };
  expect(limitOf({ ...files, [file]: "-1\n" })).toEqual(total);
  expect(limitOf({ ...files, [file]: "67108864" })).toEqual([2 ** 26, file]);
});

test("a hierarchy mounted elsewhere is read through its descriptor", () => {
  const files: Readonly<Record<string, string>> = {
    "/proc/meminfo": "MemTotal: 25165824 kB\n",
    "/proc/self/cgroup": "4:memory:/pod/x\n0::/\n",
    "/proc/self/fd/9/pod/x/memory.limit_in_bytes": "268435456\n",
  };
  const hidden = [{ version: 1, root: "/", fd: 9 }] as const;
  expect(new MemoryLimits(hidden, (path) => files[path] ?? null).read().bytes).toBe(2 ** 28);
});

test("with visible hierarchies no hidden ones are searched", () => {
  const files: Readonly<Record<string, string>> = {
    "/proc/self/mountinfo": v2,
    "/proc/self/status": "PPid:\t1\n",
    "/proc/1/mountinfo": v1.replace("/sys/fs/cgroup/memory", "/"),
  };
  expect(openHiddenHierarchies((path) => files[path] ?? null)).toEqual([]);
});

test("hidden ones are searched from the parent process upward", () => {
  const files: Readonly<Record<string, string>> = {
    "/proc/self/status": `Name:\tx\nPPid:\t${process.pid}\n`,
    [`/proc/${process.pid}/mountinfo`]: v1.replace("/sys/fs/cgroup/memory", "/"),
  };
  const found = openHiddenHierarchies((path) => files[path] ?? null);
  expect(found).toMatchObject([{ version: 1, root: "/" }]);
  for (const { fd } of found) closeSync(fd);
  expect(openHiddenHierarchies(() => null)).toEqual([]);
  expect(openHiddenHierarchies(() => "PPid:\t7\n")).toEqual([]);
});

test("data queued in the kernel counts in version 2 groups", () => {
  const groups = { "/proc/self/cgroup": "4:memory:/\n0::/\n" };
  const counts = (mount: string, file: string): boolean => {
    const files: Readonly<Record<string, string>> = {
      ...groups,
      "/proc/self/mountinfo": mount,
      [file]: "1000000",
    };
    return new MemoryLimits([], (path) => files[path] ?? null).read().countsSockets;
  };
  expect(counts(v2, "/sys/fs/cgroup/memory.max")).toBe(true);
  expect(counts(v1, "/sys/fs/cgroup/memory/memory.limit_in_bytes")).toBe(false);
});

test("this machine has some memory", () => {
  expect(new MemoryLimits().read().bytes).toBeGreaterThan(1 << 20);
});

test("a changed limit is seen at once, without reading the mounts again", () => {
  const file = "/sys/fs/cgroup/a/memory.max";
  const files: Record<string, string> = {
    "/proc/self/cgroup": "0::/a\n",
    "/proc/self/mountinfo": v2,
    [file]: "100000",
  };
  const asked: string[] = [];
  const limits = new MemoryLimits([], (path) => {
    asked.push(path);
    return files[path] ?? null;
  });
  expect(limits.read().bytes).toBe(100_000);
  files[file] = "200000";
  expect(limits.read().bytes).toBe(200_000);
  expect(asked.filter((path) => path === "/proc/self/mountinfo")).toHaveLength(1);
});

test("a process moved to another group has that group's limit at once", () => {
  const files: Record<string, string> = {
    "/proc/self/cgroup": "0::/a\n",
    "/proc/self/mountinfo": v2,
    "/sys/fs/cgroup/a/memory.max": "100000",
    "/sys/fs/cgroup/b/memory.max": "50000",
  };
  const limits = new MemoryLimits([], (path) => files[path] ?? null);
  expect(limits.read().bytes).toBe(100_000);
  files["/proc/self/cgroup"] = "0::/b\n";
  expect(limits.read()).toMatchObject({ bytes: 50_000, file: "/sys/fs/cgroup/b/memory.max" });
});

test("a hierarchy mounted later is found within a minute", () => {
  const files: Record<string, string> = {
    "/proc/self/cgroup": "0::/a\n",
    "/sys/fs/cgroup/a/memory.max": "100000",
  };
  const limits = new MemoryLimits([], (path) => files[path] ?? null);
  limits.read();
  files["/proc/self/mountinfo"] = v2;
  for (let second = 0; second < 60; second += 1) limits.read();
  expect(limits.read().bytes).toBe(100_000);
});
