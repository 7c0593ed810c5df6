/** The manual, built into the executable, in the order of `tls-tproxy help`. */
import applications from "./applications.md" with { type: "text" };
import certificateRecipes from "./certificate-recipes.md" with { type: "text" };
import certificates from "./certificates.md" with { type: "text" };
import check from "./check.md" with { type: "text" };
import compatibility from "./compatibility.md" with { type: "text" };
import connectionEndings from "./connection-endings.md" with { type: "text" };
import containers from "./containers.md" with { type: "text" };
import host from "./host.md" with { type: "text" };
import identity from "./identity.md" with { type: "text" };
import interception from "./interception.md" with { type: "text" };
import json from "./json.md" with { type: "text" };
import kubernetes from "./kubernetes.md" with { type: "text" };
import license from "./license.md" with { type: "text" };
import limits from "./limits.md" with { type: "text" };
import log from "./log.md" with { type: "text" };
import metrics from "./metrics.md" with { type: "text" };
import options from "./options.md" with { type: "text" };
import otherRules from "./other-rules.md" with { type: "text" };
import performance from "./performance.md" with { type: "text" };
import policy from "./policy.md" with { type: "text" };
import policyRecipes from "./policy-recipes.md" with { type: "text" };
import preexisting from "./preexisting.md" with { type: "text" };
import privileges from "./privileges.md" with { type: "text" };
import probes from "./probes.md" with { type: "text" };
import protocol from "./protocol.md" with { type: "text" };
import security from "./security.md" with { type: "text" };
import shutdown from "./shutdown.md" with { type: "text" };
import sourceAddress from "./source-address.md" with { type: "text" };
import troubleshooting from "./troubleshooting.md" with { type: "text" };
import { readTopic, type Topic } from "./topic.ts";

export const topics: readonly Topic[] = (
  [
    ["check", check],
    ["kubernetes", kubernetes],
    ["containers", containers],
    ["host", host],
    ["options", options],
    ["interception", interception],
    ["policy", policy],
    ["policy-recipes", policyRecipes],
    ["identity", identity],
    ["certificates", certificates],
    ["certificate-recipes", certificateRecipes],
    ["source-address", sourceAddress],
    ["applications", applications],
    ["connection-endings", connectionEndings],
    ["preexisting", preexisting],
    ["shutdown", shutdown],
    ["privileges", privileges],
    ["probes", probes],
    ["other-rules", otherRules],
    ["limits", limits],
    ["metrics", metrics],
    ["json", json],
    ["log", log],
    ["troubleshooting", troubleshooting],
    ["performance", performance],
    ["protocol", protocol],
    ["compatibility", compatibility],
    ["security", security],
    ["license", license],
  ] as const
).map(([name, text]) => readTopic(name, text));
