/** Bounds the nesting of a YAML text before it is parsed, because the parser recurses for each level. Pure. */

/**
 * The line, from 1, where a text nests deeper than any policy does, or null. It counts brackets without parsing
 * strings and comments, and therefore may refuse too much; a policy nests five levels.
 */
export function lineOfDeepNesting(text: string): number | null {
  let open = 0;
  for (const [index, line] of text.split(/\r\n|\r|\n/).entries()) {
    if (/^\s*#/.test(line)) continue;
    const indicators = line.match(indicator)?.length ?? 0;
    if (indicators > levelsMax || line.search(/\S/) > columnsMax) return index + 1;
    for (const bracket of line.match(/[[\]{}]/g) ?? []) {
      open = "[{".includes(bracket) ? open + 1 : Math.max(0, open - 1);
      if (open > levelsMax) return index + 1;
    }
  }
  return null;
}

/** `- - - a` is three sequences, `? ? a` two mappings: YAML 1.2, 8.2. */
const indicator = /(?<!\S)[-?:](?!\S)/g;
const levelsMax = 32;
/** Each column can be a level of its own. */
const columnsMax = 128;
