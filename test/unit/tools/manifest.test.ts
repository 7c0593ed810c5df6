/** The sidecar that `tls-tproxy manifest` prints: the same as install.yaml's, with safely quoted values. */
import { expect, test } from "bun:test";
import { parse } from "yaml";

import { sidecarManifest, type SidecarOptions } from "../../../src/tools/manifest.ts";
import { parseProbe } from "../../../src/probe/probe.ts";
import { faultsOf } from "../../support/kubernetes/schema.ts";
import { installText, pods } from "../../support/kubernetes/install.ts";
import { tproxy, type Said } from "../../support/tproxy.ts";

const probeList = "http:8090/,tcp:8090,grpc:5000";
const demo = {
  image: "tproxy:dev",
  namespace: "tproxy-demo",
  trustDomain: "cluster.local",
  probes: probeList.split(",").map(parseProbe),
};

function manifest(...args: readonly string[]): Said {
  return tproxy(["manifest", ...args]);
}

test.each(pods)("install.yaml has the sidecar of $name line by line", ({ name, spec }) => {
  const fragment = sidecarManifest({ ...demo, serviceAccount: name });
  expect(installText).toContain(fragment.replaceAll(/^(?=.)/gm, "      "));
  expect(spec).toMatchObject(parse(fragment, { version: "1.1" }) as object);
});

test("the command prints it, and says where it belongs", () => {
  const options = `--namespace tproxy-demo --service-account orders --probe ${probeList}`.split(
    " ",
  );
  const { code, out } = manifest(...options);
  expect(code).toBe(0);
  expect(out).toStartWith("# For a pod's spec");
  expect(out).toEndWith(sidecarManifest({ ...demo, serviceAccount: "orders" }));
});

test("without options it is for the default service account of the default namespace", () => {
  const { out } = manifest();
  expect(out).toContain("spiffe://cluster.local/ns/default/sa/default\n");
  expect(out).toContain("image: tproxy:dev\n");
  expect(out).not.toMatch(/--probe|TPROXY_HOST_IPS/);
});

test.each([
  ["--image", "a b"],
  ["--image", "tproxy\n    command: [x]"],
  ["--image", ""],
  ["--namespace", "Shop"],
  ["--service-account", "-x"],
  ["--service-account", "a.b..c"],
  ["--service-account", "x".repeat(64)],
  ["--trust-domain", "Cluster.Local"],
  ["--probe", "https:8443/"],
])("%s %j is an error that names the option", (flag, value) => {
  const { code, out, error } = manifest(flag, value);
  expect([code, out, error]).toEqual([2, "", expect.stringContaining(flag)]);
});

test.each([["123"], ["no"], ["1e3"], ["registry.example:5000/tproxy@sha256:0a"]])(
  "the image %s stays a string",
  (image) => {
    const options: SidecarOptions = { ...demo, image, serviceAccount: "null" };
    const spec = parse(sidecarManifest(options), { version: "1.1" }) as {
      readonly serviceAccountName: unknown;
      readonly initContainers: readonly [{ readonly image: unknown }];
    };
    expect([spec.initContainers[0].image, spec.serviceAccountName]).toEqual([image, "null"]);
    const pod = { ...spec, containers: [{ name: "app" }] };
    const template = { metadata: { labels: { app: "x" } }, spec: pod };
    const whole = { selector: { matchLabels: { app: "x" } }, template };
    const deployment = { apiVersion: "apps/v1", kind: "Deployment", spec: whole };
    expect(faultsOf("v1.29", deployment)).toEqual([]);
  },
);
