/** install.yaml, parsed for tests. */
import { readFileSync } from "node:fs";
import { parseAllDocuments } from "yaml";

export const installText = readFileSync(`${import.meta.dir}/../../../install.yaml`, "utf8");

export type Named = { readonly name: string };
export type Probe = {
  readonly httpGet?: { readonly path: string; readonly port: number | string };
  readonly tcpSocket?: { readonly port: number | string };
  readonly grpc?: { readonly port: number; readonly service?: string };
};

export type Container = Named & {
  readonly args?: readonly string[];
  readonly command?: readonly string[];
  readonly env?: readonly (Named & {
    readonly valueFrom: { readonly fieldRef: { readonly fieldPath: string } };
  })[];
  readonly restartPolicy?: string;
  readonly ports?: readonly (Named & { readonly containerPort: number })[];
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly volumeMounts?: readonly (Named & {
    readonly mountPath: string;
    readonly readOnly?: boolean;
  })[];
  readonly securityContext?: {
    readonly runAsUser?: number;
    readonly runAsNonRoot?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly allowPrivilegeEscalation?: boolean;
    readonly seccompProfile?: { readonly type: string };
    readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] };
  };
};

export type Volume = Named & {
  readonly secret?: {
    readonly secretName: string;
    readonly defaultMode: number;
    readonly items: readonly { readonly key: string; readonly path: string }[];
  };
  readonly configMap?: Named;
  readonly csi?: { readonly driver: string };
};

export type PodSpec = {
  readonly serviceAccountName: string;
  readonly initContainers: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
};

export type Deployment = {
  readonly kind: "Deployment";
  readonly metadata: Named;
  readonly spec: {
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: PodSpec;
    };
  };
};

export type Service = {
  readonly kind: "Service";
  readonly metadata: Named;
  readonly spec: {
    readonly selector: Readonly<Record<string, string>>;
    readonly ports: readonly { readonly targetPort: string }[];
  };
};

export type ConfigMap = {
  readonly kind: "ConfigMap";
  readonly metadata: Named;
  readonly data: Readonly<Record<string, string>>;
};

type Other<K extends string> = {
  readonly kind: K;
  readonly metadata: Named & { readonly namespace?: string };
};

type Installed = Deployment | Service | ConfigMap | Other<"Namespace"> | Other<"ServiceAccount">;

/** All objects, parsed like Kubernetes does: YAML 1.1. */
export const installed: readonly Installed[] = parseAllDocuments(installText, {
  version: "1.1",
  uniqueKeys: true,
  strict: true,
}).map((document) => {
  const [fault] = [...document.errors, ...document.warnings];
  if (fault !== undefined) throw fault;
  return document.toJS() as Installed;
});

export function ofKind<K extends Installed["kind"]>(
  kind: K,
): readonly Extract<Installed, { readonly kind: K }>[] {
  return installed.filter(
    (object): object is Extract<Installed, { readonly kind: K }> => object.kind === kind,
  );
}

export type DemoPod = {
  readonly name: string;
  readonly spec: PodSpec;
  readonly proxy: Container;
  readonly application: Container;
  /** The text of its policy. */
  readonly policy: string;
};

/** A Deployment's pod and the objects that it mounts. */
export const pods: readonly DemoPod[] = ofKind("Deployment").map(
  ({ metadata, spec: { template } }) => {
    const { spec } = template;
    const [proxy] = spec.initContainers;
    const [application] = spec.containers;
    const mapName = spec.volumes.find(({ configMap }) => configMap !== undefined)?.configMap?.name;
    const map = ofKind("ConfigMap").find((one) => one.metadata.name === mapName);
    const policy = map?.data["policy.yaml"];
    if (proxy === undefined || application === undefined || policy === undefined)
      throw new Error(`install.yaml: ${metadata.name} lacks a container or its policy`);
    return { name: metadata.name, spec, proxy, application, policy };
  },
);
