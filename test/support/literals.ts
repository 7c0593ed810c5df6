/** String literals of TypeScript, for tests about the words in them. */

export type Literal = { readonly line: number; readonly text: string };

/** In order. Expressions inside templates are left out; comments and regular expressions are not literals. */
export function literalsIn(source: string): readonly Literal[] {
  const found: Literal[] = [];
  let at = 0;
  let before = "";
  while (at < source.length) {
    const token = tokenAt(source, at, before);
    const isText = token.startsWith('"') || token.startsWith("'") || token.startsWith("`");
    if (isText && token.length > 1) {
      const line = source.slice(0, at).split("\n").length;
      found.push({ line, text: withoutExpressions(token.slice(1, -1)) });
    }
    if (!/^(\s|\/[/*])/.test(token)) before = token;
    at += token.length;
  }
  return found;
}

/** A comment, a literal, a regular expression, a word, white space, or one character. `before`: the token before it. */
function tokenAt(source: string, at: number, before: string): string {
  const rest = source.slice(at, at + tokenMax);
  const mayBeExpression = before === "" || /^([(,=:[!&|?{};+*%<>~^-]|return|case)$/.test(before);
  const patterns = [
    /^\/\/[^\n]*/,
    /^\/\*[^]*?\*\//,
    /^"(?:[^"\\\n]|\\[^])*"/,
    /^'(?:[^'\\\n]|\\[^])*'/,
    ...(mayBeExpression ? [/^\/(?:\[(?:[^\]\\\n]|\\.)*\]|[^/\\\n[]|\\.)+\/[a-z]*/] : []),
    /^[\w$]+/,
    /^\s+/,
  ];
  if (rest.startsWith("`")) return rest.slice(0, templateLength(rest));
  for (const pattern of patterns) {
    const match = pattern.exec(rest);
    if (match !== null) return match[0];
  }
  return rest.slice(0, 1);
}

/** Up to the backtick that ends it, including templates inside its expressions. */
function templateLength(text: string): number {
  let at = 1;
  while (at < text.length && text[at] !== "`") {
    if (text[at] === "\\") at += 2;
    else if (text.startsWith("${", at)) at += expressionLength(text.slice(at));
    else at += 1;
  }
  return at + 1;
}

/** `${…}`, including nested braces and templates. */
function expressionLength(text: string): number {
  let depth = 0;
  let at = 1;
  while (at < text.length) {
    if (text[at] === "`") at += templateLength(text.slice(at)) - 1;
    if (text[at] === "{") depth += 1;
    if (text[at] === "}") depth -= 1;
    at += 1;
    if (depth === 0) return at;
  }
  return at;
}

function withoutExpressions(text: string): string {
  let left = "";
  let at = 0;
  while (at < text.length) {
    if (text.startsWith("${", at)) at += expressionLength(text.slice(at));
    else {
      left += text[at] ?? "";
      at += 1;
    }
  }
  return left;
}

const tokenMax = 100_000;
