/** Runs a compose file by `docker run`, because the tests' engines have no Compose. Supports the manual's fields. */
import { parse } from "yaml";

import { docker, label, tryDocker } from "./docker.ts";

type Service = {
  readonly image: string;
  readonly container_name: string;
  readonly command: string;
  readonly cap_drop?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly read_only?: boolean;
  readonly security_opt?: readonly string[];
  readonly stop_grace_period?: string;
  readonly healthcheck?: {
    readonly test: readonly string[];
    readonly interval: string;
    readonly retries: number;
  };
  readonly volumes?: readonly string[];
  readonly networks?: Readonly<Record<string, { readonly ipv4_address: string }>>;
  readonly ports?: readonly string[];
  readonly network_mode?: string;
  readonly depends_on?: Readonly<
    Record<string, { readonly condition: "service_healthy"; readonly restart: boolean }>
  >;
};

export type Project = {
  readonly name: string;
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<
    Record<string, { readonly ipam: { readonly config: readonly { readonly subnet: string }[] } }>
  >;
};

/** Throws for a field that `up` would ignore, so that the manual contains only tested fields. */
export function readProject(text: string): Project {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- its fields are compared below
  const project = parse(text, { merge: true }) as Project;
  for (const [name, service] of Object.entries(project.services))
    for (const field of Object.keys(service))
      if (!fields.has(field)) throw new Error(`compose: ${name} has the field ${field}`);
  return project;
}

/** `docker compose up --detach --wait`, in the directory that the volumes are relative to. */
export async function up(project: Project, directory: string): Promise<void> {
  for (const [name, { ipam }] of Object.entries(project.networks)) {
    const subnets = ipam.config.flatMap(({ subnet }) => ["--subnet", subnet]);
    await docker("network", "create", "--label", mark, ...subnets, networkName(project, name));
  }
  const waiting = new Set(Object.keys(project.services));
  while (waiting.size > 0) {
    const next = [...waiting].find((name) =>
      dependencies(project, name).every((one) => !waiting.has(one)),
    );
    if (next === undefined) throw new Error("compose: services wait for each other");
    await start(project, next, directory);
    waiting.delete(next);
  }
}

/** `docker compose down`. */
export async function down(project: Project): Promise<void> {
  const names = Object.values(project.services).map((service) => service.container_name);
  await tryDocker("rm", "--force", "--volumes", ...names);
  for (const name of Object.keys(project.networks))
    await tryDocker("network", "rm", networkName(project, name));
}

async function start(project: Project, name: string, directory: string): Promise<void> {
  for (const one of dependencies(project, name))
    await healthy(serviceOf(project, one).container_name);
  const service = serviceOf(project, name);
  const flags = ["--detach", "--pull", "never", "--label", mark, "--name", service.container_name];
  await docker(
    "run",
    ...flags,
    ...optionsOf(project, service, directory),
    service.image,
    ...words(service.command),
  );
}

function optionsOf(project: Project, service: Service, directory: string): readonly string[] {
  const { healthcheck, network_mode: mode = "", stop_grace_period: grace } = service;
  const joined = mode.startsWith("service:")
    ? serviceOf(project, mode.slice("service:".length))
    : null;
  return [
    ...(service.cap_drop ?? []).flatMap((one) => ["--cap-drop", one]),
    ...(service.cap_add ?? []).flatMap((one) => ["--cap-add", one]),
    ...(service.read_only === true ? ["--read-only"] : []),
    ...(service.security_opt ?? []).flatMap((one) => ["--security-opt", one]),
    ...(grace === undefined ? [] : ["--stop-timeout", grace.replace(/s$/, "")]),
    ...(healthcheck === undefined ? [] : healthOptions(healthcheck)),
    ...(service.volumes ?? []).flatMap((one) => ["--volume", one.replace(/^\./, directory)]),
    ...(service.ports ?? []).flatMap((one) => ["--publish", one]),
    ...Object.keys(service.networks ?? {}).flatMap((one) => [
      "--network",
      networkName(project, one),
    ]),
    ...Object.values(service.networks ?? {}).flatMap((one) => ["--ip", one.ipv4_address]),
    ...(joined === null ? [] : ["--network", `container:${joined.container_name}`]),
  ];
}

/** `docker run` supports only CMD-SHELL, which needs a shell: the image has none, so the test runs the check. */
function healthOptions({ test }: NonNullable<Service["healthcheck"]>): readonly string[] {
  if (test[0] !== "CMD") throw new Error(`compose: a health check by ${test[0] ?? "nothing"}`);
  return ["--label", `${checkLabel}=${JSON.stringify(test.slice(1))}`];
}

/** Runs the health check in the container, as the engine does, until it passes. Throws if the container ends before. */
async function healthy(container: string): Promise<void> {
  const format = `{{index .Config.Labels "${checkLabel}"}}`;
  const command = JSON.parse(await docker("inspect", "--format", format, container)) as string[];
  for (;;) {
    const { code, stderr } = await tryDocker("exec", container, ...command);
    if (code === 0) return;
    if ((await docker("inspect", "--format", "{{.State.Running}}", container)) !== "true")
      throw new Error(
        `compose: ${container} has ended: ${stderr}${(await tryDocker("logs", container)).stderr}`,
      );
  }
}

function dependencies(project: Project, name: string): readonly string[] {
  return Object.keys(serviceOf(project, name).depends_on ?? {});
}

function serviceOf(project: Project, name: string): Service {
  const service = project.services[name];
  if (service === undefined) throw new Error(`compose: there is no service ${name}`);
  return service;
}

/** Compose's name for it. */
function networkName({ name }: Project, network: string): string {
  return `${name}_${network}`;
}

/** Splits a command like Compose, which does it like a shell. */
export function words(command: string): readonly string[] {
  return [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? "");
}

const mark = `${label}=${process.pid}`;
const checkLabel = "tproxy-test-health";
const fields = new Set<string>([
  "image",
  "container_name",
  "command",
  "cap_drop",
  "cap_add",
  "read_only",
  "security_opt",
  "stop_grace_period",
  "healthcheck",
  "volumes",
  "networks",
  "ports",
  "network_mode",
  "depends_on",
]);
