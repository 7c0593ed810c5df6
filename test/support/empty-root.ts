/**
 * An empty machine: a read-only root with the executable, /proc, /dev/null and /etc/hosts, and a network of its own
 * with only lo. All of it ends with the process in any case.
 */
import { afterAll } from "bun:test";

import { requirePods, type Output } from "./pods.ts";
import { temporaryDirectory } from "./temporary.ts";

export type EmptyRootOptions = {
  /** Additional empty folders: "mnt". */
  readonly folders?: readonly string[];
  /** Files of this machine that are copied to the same paths. */
  readonly files?: readonly string[];
  /** Options of chroot(8), or a setpriv before it, to run the program as another user. */
  readonly chroot?: readonly string[];
  /** A command of this machine that introduces a defect. */
  readonly before?: readonly string[];
};

export class EmptyRoot {
  readonly #executable: string;
  readonly #mountPoint = temporaryDirectory();
  readonly #running = new Set<Bun.Subprocess>();

  constructor(executable: string) {
    requirePods();
    for (const program of ["unshare", "chroot", "setpriv", "mount"])
      if (Bun.which(program) === null) throw new Error(`namespace tests need ${program}`);
    this.#executable = executable;
    afterAll(() => {
      for (const child of this.#running) child.kill("SIGKILL");
    });
  }

  /** Runs the executable in it until it ends; `before` and `after`: the files that existed then. */
  async run(
    args: readonly string[],
    options: EmptyRootOptions = {},
  ): Promise<Output & { readonly before: string; readonly after: string }> {
    const { folders = [], files = [], chroot = ["chroot"], before: amiss = ["true"] } = options;
    const listings = temporaryDirectory();
    const places = [
      this.#mountPoint,
      this.#executable,
      listings,
      folders.join(" "),
      files.join(" "),
      amiss.join(" "),
    ];
    const command = [
      "setpriv",
      "--pdeathsig=KILL",
      "unshare",
      ...namespaces,
      "sh",
      "-euc",
      script,
      "sh",
      ...places,
    ];
    // The shell succeeds even if the program fails, so that the remaining files are always listed.
    const child = Bun.spawn([...command, chroot.join(" "), ...args], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#running.add(child);
    const [code, stdout, stderr] = await Promise.all([
      child.exited,
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    this.#running.delete(child);
    const listing = async (name: string): Promise<string> =>
      await Bun.file(`${listings}/${name}`).text();
    const [before, after] = [await listing("before"), await listing("after")];
    return { code, stdout, stderr, before, after };
  }
}

const namespaces = "--mount --propagation private --net --ipc --pid --fork --kill-child".split(" ");

const script = `
root=$1 executable=$2 listings=$3 folders=$4 files=$5 amiss=$6 chroot=$7
shift 7
ip link set lo up
$amiss
mount -t tmpfs none "$root"
chmod 755 "$root"
cd "$root"
mkdir proc dev etc $folders
touch tproxy dev/null
for file in $files; do
  mkdir -p ".\${file%/*}"
  cp -L "$file" ".$file"
done
printf '127.0.0.1 localhost\\n' >etc/hosts
mount --bind "$executable" tproxy
mount --bind /dev/null dev/null
mount -t proc proc proc
mount -o remount,ro "$root"
# Over the root, as switch_root(8) does it: in a mere chroot no user namespace is made, clone(2).
mount --move "$root" /
list() { find . -xdev | sort; }
list >"$listings/before"
code=0
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin $chroot . /tproxy "$@" || code=$?
list >"$listings/after"
exit $code
`;
