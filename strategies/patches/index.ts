/** Every patch there is, in the order in which a series applies them. */
import type { Patch } from '../../engine/policy.ts';
import { emulateRoFault } from './emulate-ro-fault.ts';
import { gupReasons } from './gup-reasons.ts';
import { gupTellsReadonly } from './gup-tells-readonly.ts';
import { introduceReadonlyMemslot } from './introduce-readonly-memslot.ts';
import { judgeVmaByAccess } from './judge-vma-by-access.ts';
import { leaveLooping } from './leave-looping.ts';
import { reexecMmio } from './reexec-mmio.ts';
import { reexecuteWritablePfn } from './reexecute-writable-pfn.ts';
import { returnDummyPage } from './return-dummy-page.ts';
import { roCachedMmio } from './ro-cached-mmio.ts';

/** All patches. */
export const PATCHES: readonly Patch[] = [
  judgeVmaByAccess,
  introduceReadonlyMemslot,
  returnDummyPage,
  reexecuteWritablePfn,
  roCachedMmio,
  gupTellsReadonly,
  gupReasons,
  emulateRoFault,
  reexecMmio,
  leaveLooping,
];

/** A patch by its name. */
export const findPatch = (name: string): Patch | undefined => PATCHES.find((p) => p.name === name);
