import type { Scenario } from '../scenario.ts'
import { kill } from './kill.ts'

/** In the order in which they run. */
export const SCENARIOS: readonly Scenario[] = [kill]
