import { expect, test } from "bun:test";

import { pemBlocks, pemOf } from "../../../src/identity/pem.ts";

const block = pemOf("CERTIFICATE", new Uint8Array([1, 2, 3]));

test("a block is returned with its label, line and bytes", () => {
  expect(pemBlocks(`text\n\n${block}\n`)).toEqual([
    { label: "CERTIFICATE", line: 3, bytes: new Uint8Array([1, 2, 3]), encrypted: false },
  ]);
});

test.each([
  ["LF", "\n"],
  ["CRLF", "\r\n"],
  ["CR", "\r"],
])("lines are counted by %s", (_, end) => {
  const text = [block, "text", block].join("\n").replaceAll("\n", end);
  expect(pemBlocks(text).map(({ line }) => line)).toEqual([1, 5]);
});

test("a truncated block, or one that is not base64, has no bytes", () => {
  const cut = block.slice(0, -10);
  const other = block.replace("AQID", "AQ!D");
  expect([cut, `${cut}\n${block}`, other].map((text) => pemBlocks(text)[0]?.bytes)).toEqual([
    null,
    null,
    null,
  ]);
});

test("a marker in the middle of a line is text", () => {
  expect(pemBlocks(`# like ${block}`)).toEqual([]);
});

test("header fields are not part of the bytes, and show whether the block is encrypted", () => {
  const header = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n";
  const text = block.replace("AQID", `${header}AQID`);
  expect(pemBlocks(text)).toMatchObject([{ bytes: new Uint8Array([1, 2, 3]), encrypted: true }]);
});

test("a megabyte of markers takes no quadratic time", () => {
  for (const text of ["-----BEGIN A-----\n", "-----BEGIN A-----", "-----END A-----", " "])
    expect(
      pemBlocks(text.repeat(1_048_576 / text.length)).every(({ bytes }) => bytes === null),
    ).toBe(true);
});
