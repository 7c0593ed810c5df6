/** Text that people and YAML, or two versions of YAML, read differently: a policy must not depend on it. Pure. */
import { isNode, isScalar, visit, type Document } from "yaml";

import { quote } from "../runtime/log/escape.ts";

/** A line for each directive, tag and number with a surprising meaning. `lineOf` maps an offset to a line. */
export function twofoldTexts(
  document: Document,
  lineOf: (offset: number) => number,
): readonly string[] {
  const faults: string[] = [];
  const version = document.directives?.yaml.version ?? "1.2";
  if (version !== "1.2")
    faults.push(
      `line 1: by YAML ${version} 010 is 8, 1:30 is 90 and yes is true. Remove the %YAML line: the file is read as YAML 1.2`,
    );
  visit(document, (_, node) => {
    if (!isNode(node)) return;
    const line = lineOf(node.range?.[0] ?? 0);
    if ("tag" in node && node.tag !== undefined && node.tag !== null)
      faults.push(`line ${line}: write the value without a tag (${quote(node.tag, shownMax)})`);
    else if (isScalar(node)) faults.push(...numberFaults(node.value, node.source, line));
  });
  return faults;
}

function numberFaults(value: unknown, source: string | undefined, line: number): readonly string[] {
  if (!Number.isInteger(value) || source === undefined || plain.test(source)) return [];
  return [
    `line ${line}: ${quote(source, shownMax)} is read as ${Number(value)}. Write a number in decimal digits`,
  ];
}

/** No 010, 0x50, 0o120, 8e1, 80.0 or +80. */
const plain = /^(?:0|-?[1-9]\d*)$/;
const shownMax = 60;
