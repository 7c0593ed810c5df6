/** The shim is imported as a file, so that the compiled executable contains it. */
declare module "*.so" {
  const path: string;
  export default path;
}

declare module "*/tproxy-repair" {
  const path: string;
  export default path;
}
