/** node-forge's parts by themselves: each adds itself to the one object. */
declare module "node-forge/lib/forge.js" {
  import forge from "node-forge";
  export default forge;
}
declare module "node-forge/lib/asn1.js";
