/** The demo with hosts that start no proxies: `demo-without-proxies.ts EXECUTABLE`, which provides the hosts. */
import { setStage, type Stage } from "../../src/tools/demo/director.ts";
import { demoInside, demoOutside } from "../../src/tools/demo/run.ts";

const [executable = "", place = "outside"] = process.argv.slice(2);
if (place === "inside") await demoInside([executable], withoutProxies);
else demoOutside([process.execPath, import.meta.path, executable, "inside"], executable);
// oxlint-disable-next-line unicorn/no-process-exit -- the hosts live as long as the first process of their namespaces
process.exit();

async function withoutProxies(self: readonly string[]): Promise<Stage["remotes"]> {
  const remotes = await setStage(self);
  for (const remote of Object.values(remotes)) {
    const order = remote.order.bind(remote);
    const deaf: typeof remote.order = async (name, takes) =>
      name === "startProxy"
        ? ({ ready: true, log: [] } as Awaited<ReturnType<typeof remote.order<typeof name>>>)
        : await order(name, takes);
    Object.assign(remote, { order: deaf });
  }
  return remotes;
}
