/** Runs before all tests: property tests are the same in each run, unless scripts/fuzz.sh wants others. */
import fc from "fast-check";

import { propertyRuns } from "./property-runs.ts";

fc.configureGlobal(propertyRuns(process.env));
