/** The manual, built into the executable. The order is that of the list that `tls-tproxy help` shows. */
import compatibility from "./compatibility.md" with { type: "text" };
import license from "./license.md" with { type: "text" };
import protocol from "./protocol.md" with { type: "text" };
import security from "./security.md" with { type: "text" };
import { readTopic, type Topic } from "./topic.ts";

export const topics: readonly Topic[] = (
  [
    ["protocol", protocol],
    ["compatibility", compatibility],
    ["security", security],
    ["license", license],
  ] as const
).map(([name, text]) => readTopic(name, text));
