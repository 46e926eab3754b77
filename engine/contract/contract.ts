/**
 * What every Machine has to do, as checks that run on any of them: the emulated core in the tests, a real kernel when
 * one is brought. Each check makes a fresh machine that behaves like a kernel with the read-only memslot series as
 * merged, and returns what was wrong, or undefined. Real guests, in bytes; no check knows an engine.
 */

import { MEMORY_CHECKS } from './memory-checks.ts';
import type { ContractCheck } from './small-guest.ts';
import { VCPU_CHECKS } from './vcpu-checks.ts';

export type { ContractCheck } from './small-guest.ts';

/** Every check. */
export const MACHINE_CONTRACT: readonly ContractCheck[] = [...VCPU_CHECKS, ...MEMORY_CHECKS];
