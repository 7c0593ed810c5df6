/** The command line as a whole: what there is, and how it presents itself. */
import { Command } from "commander";

import { build } from "../build.ts";
import { certsCommand } from "./certs.ts";
import { checkCommand } from "./check.ts";
import { confirmCommand } from "./confirm.ts";
import { demoCommands } from "./demo.ts";
import { describeOption } from "./options.ts";
import { manifestCommand } from "./manifest.ts";
import { policyCommand } from "./policy.ts";
import { readyCommand } from "./ready.ts";
import { rulesCommand } from "./rules.ts";
import { runCommand } from "./run.ts";
import { selftestCommand, versionCommand } from "./selftest.ts";
import { whyCommand } from "./why.ts";
import { escapeLines } from "../log/escape.ts";

/** The program, ready to parse normalised arguments; it throws CommanderError instead of exiting. */
export function makeProgram(): Command {
  const program = new Command("tls-tproxy");
  program
    .description(about)
    .usage("[run] [options]\n       tls-tproxy <command> [options]")
    .exitOverride()
    .allowExcessArguments(false)
    .enablePositionalOptions()
    .showHelpAfterError("Try tls-tproxy --help.")
    .configureHelp({ optionDescription: describeOption, helpWidth: 96, showGlobalOptions: false })
    .configureOutput({
      outputError: (text, write) => {
        write(escapeLines(text.replace(/^error: /, "tls-tproxy: ")));
      },
    })
    .addHelpText("after", epilogue);
  runCommand(program);
  program.version(`tls-tproxy ${build.version}`, "-V, --version", "show the version");
  program.helpOption("-h, --help", "show this");
  program.helpCommand(false);
  program.commandsGroup("Commands:");
  demoCommands(program);
  rulesCommand(program);
  confirmCommand(program);
  checkCommand(program);
  readyCommand(program);
  policyCommand(program);
  whyCommand(program);
  selftestCommand(program);
  versionCommand(program);
  certsCommand(program);
  manifestCommand(program);
  return program;
}

const about =
  "Carries a pod's TCP connections to its peers over mutual TLS. Applications notice nothing:\n" +
  "the kernel diverts what they send and receive, and nothing to the mesh ever leaves in clear.";

const epilogue = `
Long options take one dash or two, "=" or a space, and are environment variables as well:
--ca-cert is TPROXY_CA_CERT. A flag goes before the environment, that before the default.

Examples:
  tls-tproxy demo                                    see it work, on this machine, harmlessly
  tls-tproxy -cert tls.crt -key tls.key -ca-cert ca.crt           run in a pod (NET_ADMIN)
  tls-tproxy rules --print --mesh-cidr 10.8.0.0/16   what it would tell the kernel`;
