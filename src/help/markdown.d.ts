/** A topic's text, built into the executable: `import text from "./policy.md" with { type: "text" }`. */
declare module "*.md" {
  const text: string;
  export default text;
}
