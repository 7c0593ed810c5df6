/** Rules are applied once, removed completely, and never touch what belongs to others. */
import { expect, test } from "bun:test";

import { kernelState, makeForeign, rules } from "../support/kernel-state.ts";
import { executable, Network } from "../support/pods.ts";

const network = Network.create();

const everyOption = [
  "--mesh-cidr 10.0.0.0/8,fd00::/8 --exclude-cidr 10.1.0.0/16,10.2.0.1 --exclude-outbound-port 25,123 --exclude-inbound-port 8081,9090",
  "--inbound-port 80,443 --exclude-uid 101,1337 --mark 0x500/0xf00 --tcp-port 1001 --tls-port 1002",
].flatMap((line) => line.split(" "));

const probes =
  "--probe http:8080/healthz,tcp:5432,grpc:9000,tcp:9000 --probe-source 10.0.0.7,10.244.0.0/24,fd00::7 --probe-mode".split(
    " ",
  );

test.each([
  ["the defaults", []],
  ["every option", everyOption],
  ["probes that the kernel leaves alone", [...probes, "bypass"]],
  ["probes that are read", [...probes, "inspect"]],
  ["probes beside every option", [...everyOption, ...probes, "inspect"]],
] as const)("with %s the printed text has the same effect as --apply", async (_, options) => {
  const pod = network.pod();
  await rules(pod, "--apply", ...options);
  const applied = await kernelState(pod);
  await rules(pod, "--remove", ...options);
  const { stdout } = await rules(pod, "--print", ...options);
  const typed = await pod.run(["sh", "-e"], stdout);
  expect(typed.stderr).toBe("");
  expect(await kernelState(pod)).toBe(applied);
});

test("--print changes nothing", async () => {
  const pod = network.pod();
  const before = await kernelState(pod);
  await rules(pod, "--print");
  expect(await kernelState(pod)).toBe(before);
});

test("--apply twice has the effect of once", async () => {
  const pod = network.pod();
  const before = await kernelState(pod);
  await rules(pod, "--apply");
  const once = await kernelState(pod);
  await rules(pod, "--apply");
  expect(await kernelState(pod)).toBe(once);
  expect(once).not.toBe(before);
});

test("other options replace the first ones, and need not be repeated for the removal", async () => {
  const [one, other] = [network.pod(), network.pod()];
  await makeForeign(one);
  const before = await kernelState(one);
  await rules(one, "--apply", ...everyOption);
  await rules(one, "--remove");
  expect(await kernelState(one)).toBe(before);
  await rules(one, "--apply", ...everyOption);
  await rules(one, "--apply");
  expect((await one.run(["ip", "rule"])).stdout.match(/29808/g)).toHaveLength(1);
  await one.run(["nft", "delete table inet foreign"]);
  await rules(other, "--apply");
  const ruleset = async (pod: typeof one): Promise<string> =>
    (await pod.run(["nft", "list", "ruleset"])).stdout;
  expect(await ruleset(one)).toBe(await ruleset(other));
});

test.each([
  ["the defaults", []],
  ["every option", everyOption],
  ["probes", [...probes, "inspect"]],
] as const)(
  "--remove after %s restores everything byte for byte and leaves other rules alone",
  async (_, options) => {
    const pod = network.pod();
    await makeForeign(pod);
    const before = await kernelState(pod);
    await rules(pod, "--apply", ...options);
    expect(await kernelState(pod)).toContain("table inet foreign");
    await rules(pod, "--remove", ...options);
    expect(await kernelState(pod)).toBe(before);
  },
);

test("with IPv6 switched off, the IPv4 rules are applied and removed", async () => {
  const pod = network.pod();
  await pod.run(["sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"]);
  const before = await kernelState(pod);
  await rules(pod, "--apply");
  expect((await pod.run(["ip", "rule"])).stdout).toContain("29808");
  await rules(pod, "--remove");
  expect(await kernelState(pod)).toBe(before);
});

test("--remove without rules is no error", async () => {
  const pod = network.pod();
  const before = await kernelState(pod);
  await rules(pod, "--remove");
  expect(await kernelState(pod)).toBe(before);
});

test("--json reports what was done as one object, and does the same", async () => {
  const pod = network.pod();
  const before = await kernelState(pod);
  await rules(pod, "--apply");
  const applied = await kernelState(pod);
  await rules(pod, "--remove");
  const idsOf = async (...options: readonly string[]): Promise<readonly unknown[]> => {
    const { code, stdout, stderr } = await pod.run([
      ...executable(),
      "rules",
      ...options,
      "--json",
    ]);
    const { ok, items } = JSON.parse(stdout) as { ok: boolean; items: readonly { id: string }[] };
    return [code, stderr, ok, items.map(({ id }) => id)];
  };
  expect(await idsOf("--apply")).toEqual([0, "", true, ["rules-applied"]]);
  expect(await kernelState(pod)).toBe(applied);
  expect(await idsOf("--remove")).toEqual([0, "", true, ["rules-removed"]]);
  expect(await kernelState(pod)).toBe(before);
});
