/** Only node-forge's ASN.1: all of it would be a megabyte of source in every proxy's memory. */
import forge from "node-forge/lib/forge.js";
// oxlint-disable-next-line import/no-unassigned-import -- it adds itself to the one object
import "node-forge/lib/asn1.js";

export const { asn1 } = forge;
