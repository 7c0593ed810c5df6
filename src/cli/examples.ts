/** Examples in each command's help. A test runs or parses every one of them. */
import { Help, type Command } from "commander";

type Example = readonly [line: string, does: string];

/** By command; each is a command line and its purpose. */
export const examples: Readonly<Record<string, readonly Example[]>> = {
  demo: [
    ["tls-tproxy demo", "two pods talk over mutual TLS, in namespaces that vanish afterwards"],
  ],
  rules: [
    ["tls-tproxy rules --print --mesh-cidr 10.8.0.0/16", "the rules as nft text; changes nothing"],
    ["tls-tproxy rules --remove", "clean up after a proxy that was killed"],
  ],
  confirm: [
    ["tls-tproxy confirm", "keep the rules of a proxy that was started with --confirm 60s"],
  ],
  check: [
    [
      "tls-tproxy check --credentials /etc/tls-tproxy",
      "find out whether a proxy with these options would work here",
    ],
    ["tls-tproxy check --json", "the same as one JSON object"],
  ],
  policy: [
    ["tls-tproxy policy --check policy.yaml", "every mistake, with its line"],
    [
      "tls-tproxy policy --print --policy policy.yaml",
      "the policy in force, and where each rule was written",
    ],
  ],
  why: [
    [
      "tls-tproxy why 10.0.3.7:5432 --policy policy.yaml",
      "what happens to a connection to this address",
    ],
    ["tls-tproxy why --inbound 10.0.1.4:9090", "what happens to a connection from outside"],
  ],
  ready: [["tls-tproxy ready --wait 30s", "for a health check, or before other services start"]],
  selftest: [["tls-tproxy selftest", "find out whether this executable works on this machine"]],
  version: [["tls-tproxy version", "the version, the commit, and what it was built with"]],
  certs: [
    [
      "tls-tproxy certs --name web --id spiffe://example.org/ns/default/sa/web",
      "a CA and a certificate for a trial",
    ],
    ["tls-tproxy certs --name web", "renew it: a new key and certificate for the same names"],
  ],
  manifest: [
    ["tls-tproxy manifest --namespace shop --service-account web", "the sidecar for a pod's spec"],
  ],
  completions: [
    ["tls-tproxy completions bash >/etc/bash_completion.d/tls-tproxy", "for all users of bash"],
  ],
  help: [
    ["tls-tproxy help protocol", "a topic of the manual"],
    ["tls-tproxy help alpn", "every section that mentions a word"],
    ["tls-tproxy help --man | man -l -", "the manual page"],
  ],
};

/** For the program without a command. */
export const programExamples: readonly Example[] = [
  ["tls-tproxy demo", "see it work on this machine, changing nothing"],
  ["tls-tproxy -cert tls.crt -key tls.key -ca-cert ca.crt", "run in a pod (NET_ADMIN)"],
  ["tls-tproxy rules --print --mesh-cidr 10.8.0.0/16", "the rules for the kernel"],
];

/** Adds its examples to each command's help. */
export function addExamples(program: Command, width: number): void {
  for (const command of program.commands) {
    const own = examples[command.name()];
    if (own !== undefined) command.addHelpText("after", examplesText(own, width));
  }
}

/** Does not break command lines, so that they can be copied. */
export function examplesText(own: readonly Example[], width: number): string {
  const lines = own.flatMap(([line, does]) => [
    `  ${line}`,
    folded(does, width - indent.length).replaceAll(/^/gm, indent),
  ]);
  return ["", "Examples:", ...lines].join("\n");
}

/** Folds text into lines of at most `width` columns. */
export function folded(text: string, width: number): string {
  const help = new Help();
  help.minWidthToWrap = 1;
  return help.boxWrap(text, width);
}

const indent = "      ";
