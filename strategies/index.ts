/** The strategies that come with the program, in the order in which the thread meets them. */
import coexist from './coexist.ts';
import efaultSkip from './efault-skip.ts';
import gupNowaitReasons from './gup-nowait-reasons.ts';
import mmapProtRead from './mmap-prot-read.ts';
import type { StrategyName } from './names.ts';
import noSlotMmio from './no-slot-mmio.ts';
import privateCow from './private-cow.ts';
import readonlyMemslot from './readonly-memslot/readonly-memslot.ts';
import readonlyMemslotV3 from './readonly-memslot/readonly-memslot-v3.ts';
import readonlyMemslotV4 from './readonly-memslot/readonly-memslot-v4.ts';
import readonlyMemslotV5 from './readonly-memslot/readonly-memslot-v5.ts';
import shmMultiMap from './shm-multi-map.ts';
import type { Strategy } from './strategy.ts';
import writableSlot from './writable-slot.ts';

export type { Answers } from '../engine/vmm/answers.ts';
export type { Layout } from '../engine/vmm/layout.ts';
export { STRATEGY_NAMES, type StrategyName } from './names.ts';
export { findPatch, PATCHES } from './patches/index.ts';
export { defineStrategy, type Strategy } from './strategy.ts';
export { type NamedVmm, underVmm, VMMS } from './vmms.ts';
export { type WithPatches, withPatches } from './with-patches.ts';

const byName: Readonly<Record<StrategyName, Strategy>> = {
  'mmap-prot-read': mmapProtRead,
  'shm-multi-map': shmMultiMap,
  'gup-nowait-reasons': gupNowaitReasons,
  'readonly-memslot': readonlyMemslot,
  'readonly-memslot-v3': readonlyMemslotV3,
  'readonly-memslot-v4': readonlyMemslotV4,
  'readonly-memslot-v5': readonlyMemslotV5,
  coexist,
  'private-cow': privateCow,
  'no-slot-mmio': noSlotMmio,
  'writable-slot': writableSlot,
  'efault-skip': efaultSkip,
};

/** All strategies. */
export const STRATEGIES: readonly Strategy[] = Object.values(byName);

/** A strategy by its name. */
export const findStrategy = (name: string): Strategy | undefined => STRATEGIES.find((s) => s.name === name);
