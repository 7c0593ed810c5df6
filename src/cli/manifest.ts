/** `tls-tproxy manifest`: the sidecar for your own pods. */
import { Option, type Command } from "commander";

import { sidecarManifest, type SidecarOptions } from "../tools/manifest.ts";
import { parseProbe, type Probe } from "../probe/probe.ts";
import { orInvalid } from "./probes.ts";
import * as values from "./values.ts";

type ManifestFlags = Omit<SidecarOptions, "probes"> & { readonly probe: readonly Probe[] };

export function manifestCommand(program: Command): void {
  const command = program.command("manifest");
  command.description("print the sidecar for a Kubernetes pod's spec, as in install.yaml");
  command.addOption(
    new Option("--image <name>", "the proxy's image").default("tproxy:dev", "tproxy:dev"),
  );
  command.addOption(
    new Option("--namespace <name>", "namespace of the pod").default("default", "default"),
  );
  command.addOption(
    new Option(
      "--service-account <name>",
      "service account that the pod's certificate names",
    ).default("default", "default"),
  );
  command.addOption(
    new Option("--trust-domain <name>", "trust domain of the certificate's SPIFFE ID")
      .argParser(values.trustDomain)
      .default("cluster.local", "cluster.local"),
  );
  command.addOption(
    new Option(
      "--probe <probes>",
      "the application's probes, like http:8080/healthz, tcp:5432, grpc:9000",
    )
      .argParser(values.list(orInvalid(parseProbe)))
      .default([], "none"),
  );
  command.action(({ probe, ...options }: ManifestFlags) => {
    process.stdout.write(heading + sidecarManifest({ ...options, probes: probe }));
  });
}

const heading = "# For a pod's spec; in a Deployment that is spec.template.spec.\n";
