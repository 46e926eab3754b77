/**
 * A strategy: how a VMM lays read-only memory out, plus a series of patches to the kernel's decisions, plus
 * what the VMM does when the guest comes out. Many strategies patch nothing; they say `series: []`.
 */
import type { BackingKind } from '../engine/machine.ts';
import type { Patch } from '../engine/policy.ts';

/** How the VMM gives the guest a ROM. */
export interface Layout {
  /** What stands behind it. */
  readonly backing: BackingKind;
  /** MAP_SHARED (the VMM's alias sees every write) or MAP_PRIVATE (copy on write). */
  readonly shared: boolean;
  /** PROT_* of the mapping that the slot names. */
  readonly prot: number;
  /** KVM_MEM_* of the slot, or null for no slot at all: every access is MMIO. */
  readonly slotFlags: number | null;
}

/** What the VMM does when a store to the ROM comes back to it. */
export interface Vmm {
  /**
   * After KVM_RUN gave -EFAULT: `die`, or `skip` the instruction (decode it at rip and step over it).
   * Default: die, for KVM says neither address nor data.
   */
  readonly onEfault?: 'die' | 'skip';
  /**
   * How the flash device takes the ROM away from the guest (command mode) and gives it back (ROMD):
   * `slot` deletes and creates the slot; `none` if the strategy sees no store it could react to.
   */
  readonly romd?: 'slot' | 'none';
}

/** A strategy; one file each, named like it. */
export interface Strategy {
  /** Kebab-case: the file's name and the command line's. */
  readonly name: string;
  /** What it is, in a sentence. */
  readonly cover: string;
  /** Message, commit or VMM it stands for. */
  readonly source: string;
  readonly layout: Layout;
  /** Patches in order, onto the base. */
  readonly series: readonly Patch[];
  readonly vmm?: Vmm;
}

/** Identity, so that an editor completes and the compiler checks a strategy module. */
export const defineStrategy = (strategy: Strategy): Strategy => strategy;
