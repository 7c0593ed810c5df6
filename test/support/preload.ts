/** Runs before all tests: makes property tests the same in each run, unless scripts/fuzz.sh sets other seeds. */
import fc from "fast-check";

import { propertyRuns } from "./property-runs.ts";

fc.configureGlobal(propertyRuns(process.env));
