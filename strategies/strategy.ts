/**
 * A strategy: how a VMM lays read-only memory out, plus a series of patches to the kernel's decisions, plus
 * what the VMM does when the guest comes out. Many strategies patch nothing; they say `series: []`.
 */
import type { Patch } from '../engine/policy.ts';
import type { VmmPlan } from '../engine/vmm/answers.ts';

/** What a cross was made of: a strategy, and the patches added to its series or left out of it. */
export interface Cross {
  /** The strategy's name. */
  readonly of: string;
  readonly added: readonly string[];
  readonly leftOut: readonly string[];
  /** The VMM that answers instead of the strategy's own. */
  readonly vmm?: string;
}

/** A strategy; one file each, named like it. */
export interface Strategy extends VmmPlan {
  /** Kebab-case: the file's name and the command line's. */
  readonly name: string;
  /** What it is, in a sentence. */
  readonly cover: string;
  /** Message, commit or VMM it stands for. */
  readonly source: string;
  /** Patches in order, onto the base. */
  readonly series: readonly Patch[];
  /** Whose claims it is held against, where that is not its own name: a strategy on a real kernel that has its series. */
  readonly claimed?: string;
  /** Of a strategy that `withPatches()` made. */
  readonly cross?: Cross;
}

/** Identity, so that an editor completes and the compiler checks a strategy module. */
export const defineStrategy = (strategy: Strategy): Strategy => strategy;
