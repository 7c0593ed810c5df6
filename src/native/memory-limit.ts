/** The memory limit of this process: the machine's memory, or what a control group allows, whichever is less. */
import { constants, openSync, readFileSync } from "node:fs";

/** The text of a file, or null if there is none. */
export type ReadText = (path: string) => string | null;

export type MemoryLimit = {
  readonly bytes: number;
  /** The file with the limit. */
  readonly file: string;
  /** Whether unread data in the kernel counts: it does in version 2 control groups. */
  readonly countsSockets: boolean;
};

type LimitFile = Omit<MemoryLimit, "bytes">;

/** A mounted hierarchy of control groups; `root` is the group shown at its mount point. */
export type Hierarchy = { readonly version: 1 | 2; readonly root: string; readonly point: string };

/** A hierarchy that is not mounted for this process: a descriptor of its mount point. */
export type HiddenHierarchy = Omit<Hierarchy, "point"> & { readonly fd: number };

/**
 * cgroups(7): memory.max and memory.high for version 2, memory.limit_in_bytes for version 1, of the process's own
 * group and its ancestors as far as they are mounted here. Without any of them the machine's own memory: proc(5),
 * meminfo.
 */
export class MemoryLimits {
  readonly #hidden: readonly HiddenHierarchy[];
  readonly #text: ReadText;
  #files: readonly LimitFile[] = [];
  #group: string | null = null;
  #readsLeft = 0;

  constructor(hidden: readonly HiddenHierarchy[] = [], read: ReadText = readText) {
    this.#hidden = hidden;
    this.#text = read;
  }

  /** Cheap enough for once a second: the limit of a running container can be changed. */
  read(): MemoryLimit {
    const total = /^MemTotal: +(\d+) kB$/m.exec(this.#text(meminfo) ?? "")?.[1];
    let least: MemoryLimit = {
      bytes: total === undefined ? Number.MAX_SAFE_INTEGER : Number(total) * 1024,
      file: meminfo,
      countsSockets: false,
    };
    for (const { file, countsSockets } of this.#limitFiles()) {
      const text = this.#text(file)?.trim() ?? "";
      if (/^\d+$/.test(text) && Number(text) < least.bytes)
        least = { bytes: Number(text), file, countsSockets };
    }
    return least;
  }

  /** A node has thousands of mounts, and the kernel generates the list for each reader: so it is read seldom. */
  #limitFiles(): readonly LimitFile[] {
    const group = this.#text("/proc/self/cgroup") ?? "";
    this.#readsLeft -= 1;
    if (group === this.#group && this.#readsLeft > 0) return this.#files;
    this.#readsLeft = readsOfOneList;
    this.#group = group;
    this.#files = limitFiles(this.#hidden, group, this.#text("/proc/self/mountinfo") ?? "");
    return this.#files;
  }
}

/**
 * The hierarchies hidden by `ip netns exec`, which mounts another /sys over the one with the control groups. An
 * ancestor process that has started this one still sees them. Empty if they are visible, or if access is denied:
 * ptrace(2).
 */
export function openHiddenHierarchies(read: ReadText = readText): readonly HiddenHierarchy[] {
  if (hierarchiesOf(read("/proc/self/mountinfo") ?? "").length > 0) return [];
  let process = "self";
  for (let depth = 0; depth < depthMax; depth += 1) {
    process = /^PPid:\t([1-9]\d*)$/m.exec(read(`/proc/${process}/status`) ?? "")?.[1] ?? "";
    if (process === "") return [];
    const found = openHierarchies(process, read);
    if (found.length > 0) return found;
  }
  return [];
}

function openHierarchies(process: string, read: ReadText): readonly HiddenHierarchy[] {
  return hierarchiesOf(read(`/proc/${process}/mountinfo`) ?? "").flatMap(
    ({ version, root, point }) => {
      const fd = openDirectory(`/proc/${process}/root${point}`);
      return fd === null ? [] : [{ version, root, fd }];
    },
  );
}

/** `group` and `mounts`: proc(5), cgroup and mountinfo. */
function limitFiles(
  hidden: readonly HiddenHierarchy[],
  group: string,
  mounts: string,
): readonly LimitFile[] {
  const groups = groupsOf(group);
  const shown = hidden.map(({ fd, ...one }) => ({ ...one, point: `/proc/self/fd/${fd}` }));
  return [...hierarchiesOf(mounts), ...shown].flatMap((mount) =>
    directoriesOf(mount, groups.get(mount.version) ?? "/").flatMap((directory) =>
      filesOf[mount.version].map((file) => ({
        file: `${directory}/${file}`,
        countsSockets: mount.version === 2,
      })),
    ),
  );
}

/** `0::/a/b` of version 2, `4:memory:/a/b` of version 1. */
function groupsOf(text: string): ReadonlyMap<1 | 2, string> {
  const found = new Map<1 | 2, string>();
  for (const [, controllers = "", path = ""] of text.matchAll(/^\d+:([^:\n]*):(\/.*)$/gm))
    if (controllers === "") found.set(2, path);
    else if (controllers.split(",").includes("memory")) found.set(1, path);
  return found;
}

/** proc(5), mountinfo: root and mount point are the fourth and fifth field; type and options follow a dash. */
function hierarchiesOf(text: string): readonly Hierarchy[] {
  const found: Hierarchy[] = [];
  for (const line of text.split("\n")) {
    const [, root, point, kind, options = ""] = mountLine.exec(line) ?? [];
    if (root === undefined || point === undefined) continue;
    const version = kind === "cgroup2" ? 2 : 1;
    if (version === 1 && !options.split(",").includes("memory")) continue;
    found.push({ version, root: unescape(root), point: unescape(point) });
  }
  return found;
}

/**
 * The group's directory and its ancestors, up to the mount point. A container that sees only its own part of the
 * hierarchy may get a path from outside it: its group is then the mounted one.
 */
function directoriesOf({ root, point }: Hierarchy, group: string): readonly string[] {
  const inside = root === "/" || group === root || group.startsWith(`${root}/`);
  const path = inside && !group.includes("..") ? group.slice(root === "/" ? 0 : root.length) : "";
  const names = path.split("/").filter((name) => name !== "");
  return names
    .map((_, depth) => `${point}/${names.slice(0, depth + 1).join("/")}`)
    .concat(point)
    .slice(-depthMax);
}

/** Octal escapes of space, tab, line feed and backslash. */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return null; // Not in this version, not mounted, or the root group's.
  }
}

function openDirectory(path: string): number | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch {
    return null;
  }
}

const meminfo = "/proc/meminfo";
const filesOf = { 1: ["memory.limit_in_bytes"], 2: ["memory.max", "memory.high"] } as const;
const mountLine = /^\d+ \d+ \S+ (\S+) (\S+) .* - (cgroup2?) \S+ (\S+)$/;
/** How many reads of the limits use one list of mounts. */
const readsOfOneList = 60;
/** The most groups, and processes, that are visited. */
const depthMax = 32;
