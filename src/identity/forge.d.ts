/** Single parts of node-forge: each adds itself to the common object. */
declare module "node-forge/lib/forge.js" {
  import forge from "node-forge";
  export default forge;
}
declare module "node-forge/lib/asn1.js";
