/** install.yaml is valid for Kubernetes, and matches this program. */
import { X509Certificate } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "bun:test";
import { parse } from "yaml";

import type { ProbeFlags } from "../../../src/cli/flags.ts";
import { makeProgram } from "../../../src/cli/program.ts";
import { findCredentialFiles } from "../../../src/identity/discovery.ts";
import { parseSpiffeId, type SpiffeId } from "../../../src/identity/spiffe-id.ts";
import { matches } from "../../../src/policy/id-pattern.ts";
import { parsePolicy } from "../../../src/policy/document.ts";
import { probeKinds } from "../../../src/probe/probe.ts";
import { defaultMeshRanges } from "../../../src/policy/policy.ts";
import {
  installed,
  installText,
  ofKind,
  pods,
  type Container,
  type DemoPod,
  type Volume,
} from "../../support/kubernetes/install.ts";
import { faultsOf } from "../../support/kubernetes/schema.ts";
import { executable } from "../../support/pods.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

test.each(["v1.29", "v1.37"] as const)("every object is valid for Kubernetes %s", (version) => {
  expect(installed.length).toBe(9);
  expect(installed.flatMap((object) => faultsOf(version, object))).toEqual([]);
});

test("control: a field that Kubernetes does not define, or with a wrong type, is a fault", () => {
  const [deployment] = ofKind("Deployment");
  const wrong = structuredClone(deployment) as unknown as Wrong;
  const [proxy] = wrong.spec.template.spec.initContainers;
  proxy["restartPolcy"] = "Always";
  proxy["args"] = "--v=1";
  expect(faultsOf("v1.29", wrong)).toEqual([
    expect.stringContaining("restartPolcy"),
    expect.stringContaining("/initContainers/0/args must be array"),
  ]);
  expect(() => faultsOf("v1.29", { apiVersion: "v1", kind: "Pot" })).toThrow("no schema");
});

type Wrong = {
  readonly spec: {
    readonly template: { readonly spec: { readonly initContainers: [Record<string, unknown>] } };
  };
};

test("every reference from one object to another resolves", () => {
  expect(ofKind("Namespace").map(({ metadata }) => metadata.name)).toEqual(["tproxy-demo"]);
  const accounts = ofKind("ServiceAccount").map(({ metadata }) => metadata.name);
  expect(pods.map(({ spec }) => spec.serviceAccountName)).toEqual(accounts);
  for (const { kind, metadata } of installed)
    if (kind !== "Namespace") expect(metadata).toHaveProperty("namespace", "tproxy-demo");
  for (const { spec } of ofKind("Deployment"))
    expect(spec.template.metadata.labels).toMatchObject(spec.selector.matchLabels);
  for (const { metadata, spec } of ofKind("Service")) {
    const pod = podNamed(metadata.name);
    expect(spec.selector).toEqual({ app: pod.name });
    const names = pod.application.ports?.map(({ name }) => name);
    for (const { targetPort } of spec.ports) expect(names).toContain(targetPort);
  }
});

function idOf(serviceAccount: string): SpiffeId {
  return parseSpiffeId(`spiffe://cluster.local/ns/tproxy-demo/sa/${serviceAccount}`);
}

function podNamed(name: string): DemoPod {
  const found = pods.find((pod) => pod.name === name);
  if (found === undefined) throw new Error(`there is no pod ${name}`);
  return found;
}

/** The arguments as Kubernetes passes them, with the container's environment substituted. */
function argumentsOf({ args = [], env = [] }: Container): readonly string[] {
  const values = new Map(
    env.map(({ name, valueFrom }) => [name, downward.get(valueFrom.fieldRef.fieldPath)]),
  );
  return args.map((one) => one.replaceAll(/\$\((\w+)\)/g, (_, name) => values.get(name) ?? ""));
}

const downward = new Map([["status.hostIPs", "192.0.2.7,2001:db8::7"]]);

test.each(pods)("$name: every option exists in the proxy, and its value is valid", ({ proxy }) => {
  const { operands, unknown } = makeProgram().parseOptions([...argumentsOf(proxy)]);
  expect([operands, unknown]).toEqual([[], []]);
  expect(proxy.args?.length).toBe(4);
});

test.each(pods)("$name: the probe's port is the default status port", ({ proxy }) => {
  const port = makeProgram().opts()["statusAddress"]?.port as unknown;
  expect(proxy.startupProbe?.httpGet).toEqual({ path: "/readyz", port: port as number });
  expect(proxy.readinessProbe?.httpGet).toEqual({ path: "/readyz", port: port as number });
  expect(proxy.restartPolicy).toBe("Always");
});

test.each(pods)(
  "$name: its policy admits the other pod and expects its identity everywhere",
  (pod) => {
    const { inbound, outbound } = parsePolicy(pod.policy, "policy.yaml").fields;
    const other = pods.find((one) => one !== pod)?.name ?? "";
    const expected = outbound?.expect ?? [];
    for (const allow of [inbound?.allow, ...expected.map((rule) => rule.allow)]) {
      expect(allow?.map((pattern) => matches(pattern, idOf(other)))).toEqual([true]);
      expect(allow?.map((pattern) => matches(pattern, idOf(pod.name)))).toEqual([false]);
    }
    expect(inbound?.mode).toBe("strict");
    expect(expected.map(({ to }) => to.text)).toEqual(defaultMeshRanges.map(({ text }) => text));
    expect(outbound).not.toContainAnyKeys(["mesh", "exclude", "excludePorts"]);
  },
);

/** The probes in the form of `--probe`. */
function probesOf({ ports = [], ...container }: Container): readonly string[] {
  const { startupProbe, livenessProbe, readinessProbe } = container;
  const number = (port: number | string): number | string =>
    ports.find(({ name }) => name === port)?.containerPort ?? port;
  return [startupProbe, livenessProbe, readinessProbe].map((probe) => {
    const { httpGet, tcpSocket, grpc } = probe ?? {};
    if (httpGet !== undefined) return `http:${number(httpGet.port)}${httpGet.path}`;
    if (tcpSocket !== undefined) return `tcp:${number(tcpSocket.port)}`;
    return grpc === undefined ? "none" : `grpc:${grpc.port}${grpc.service ?? ""}`;
  });
}

test.each(pods)("$name: exactly the kubelet's probes are declared", (pod) => {
  const program = makeProgram();
  program.parseOptions([...argumentsOf(pod.proxy)]);
  const { probe, probeSource } = program.opts<ProbeFlags>();
  const declared = probe?.map(({ text }) => text) ?? [];
  expect(declared.toSorted()).toEqual(probesOf(pod.application).toSorted());
  expect(probe?.map(({ kind }) => kind).toSorted()).toEqual(probeKinds.toSorted());
  const sources = probeSource?.map((source) => (source === "gateway" ? source : source.text));
  expect(sources).toEqual(["192.0.2.7/32", "2001:db8::7/128", "gateway"]);
  expect(parsePolicy(pod.policy, "policy.yaml").fields.inbound?.ports).toBeUndefined();
});

test.each(pods)(
  "$name: no container has more privileges than it needs",
  ({ proxy, application }) => {
    for (const { securityContext } of [proxy, application])
      expect(securityContext).toMatchObject({
        readOnlyRootFilesystem: true,
        allowPrivilegeEscalation: false,
        seccompProfile: { type: "RuntimeDefault" },
        capabilities: { drop: ["ALL"] },
      });
    const added = proxy.securityContext?.capabilities?.add;
    expect(added).toEqual(["NET_ADMIN", "NET_RAW", "NET_BIND_SERVICE"]);
    expect(application.securityContext?.capabilities?.add).toBeUndefined();
    expect(application.securityContext?.runAsNonRoot).toBe(true);
    expect(application.securityContext?.runAsUser).toBeGreaterThan(0);
    expect(application.volumeMounts).toBeUndefined();
  },
);

test("each application has its own user", () => {
  const uids = pods.map(({ application }) => application.securityContext?.runAsUser);
  expect(new Set(uids).size).toBe(pods.length);
});

/** The files that a volume mounts, empty, under their real names. */
function mounted(names: readonly string[]): string {
  const directory = temporaryDirectory();
  for (const name of names) writeFileSync(`${directory}/${name}`, "");
  return directory;
}

test.each(pods)("$name: the mounts are where the options expect them", ({ proxy, spec }) => {
  const [credentials, policy] = proxy.volumeMounts ?? [];
  expect(proxy.args?.slice(0, 2)).toEqual([
    `--credentials=${credentials?.mountPath}`,
    `--policy=${policy?.mountPath}/policy.yaml`,
  ]);
  expect(proxy.volumeMounts?.map(({ name }) => name)).toEqual(spec.volumes.map(({ name }) => name));
  expect(proxy.volumeMounts?.every(({ readOnly }) => readOnly === true)).toBe(true);
  const { secret } = spec.volumes[0] ?? {};
  expect(secret?.defaultMode).toBe(0o400);
  const names = secret?.items.map(({ path }) => path) ?? [];
  expect(findCredentialFiles(mounted(names))).not.toBeNull();
  expect(findCredentialFiles(mounted(names.slice(1)))).toBeNull();
});

test.each(pods)(
  "$name: the commands in the Secret's comment produce the files that it mounts",
  ({ name, spec }) => {
    const line =
      new RegExp(`#   tls-tproxy (certs --name ${name} .*)`).exec(installText)?.[1] ?? "";
    const out = `${temporaryDirectory()}/certs`;
    mkdirSync(out);
    const command = [...executable(), ...line.split(" "), "--out", out];
    expect(Bun.spawnSync(command).exitCode).toBe(0);
    const { secret } = spec.volumes[0] ?? {};
    expect(readdirSync(`${out}/${name}`).toSorted()).toEqual(
      (secret?.items ?? []).map(({ key }) => key).toSorted(),
    );
    const certificate = new X509Certificate(readFileSync(`${out}/${name}/tls.crt`));
    expect(certificate.subjectAltName).toBe(`URI:${idOf(spec.serviceAccountName)}`);
    expect(installText).toContain(
      `#   kubectl create secret generic ${secret?.secretName} --namespace tproxy-demo --type kubernetes.io/tls --from-file certs/${name}\n`,
    );
  },
);

test.each(pods)("$name: with GKE's volume instead of the Secret it is valid too", (pod) => {
  const at = installText.indexOf(`secretName: ${pod.name}-tls`);
  const lines = /^ +# (- name: tproxy-credentials\n(?: +# {3}.*\n)+)/m.exec(installText.slice(at));
  const text = (lines?.[1] ?? "").replaceAll(/^ +# /gm, "");
  const [volume] = parse(text) as readonly Volume[];
  expect(volume?.csi?.driver).toBe("workloadcertificates.security.cloud.google.com");
  const deployment = structuredClone(
    ofKind("Deployment").find(({ metadata }) => metadata.name === pod.name),
  );
  const { volumes } = deployment?.spec.template.spec ?? { volumes: [] };
  (volumes as (Volume | undefined)[])[0] = volume;
  expect(volumes.map(({ name }) => name)).toEqual(pod.spec.volumes.map(({ name }) => name));
  expect(faultsOf("v1.29", deployment)).toEqual([]);
  const gke = ["certificates.pem", "private_key.pem", "ca_certificates.pem"];
  expect(findCredentialFiles(mounted(gke))).not.toBeNull();
});
