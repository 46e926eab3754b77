/** How a VMM lays read-only memory out, and what it does when the guest comes out: made by strategies. */
import type { ExitRecord } from '../exits.ts';
import type { FlashModel } from './devices/cfi.ts';
import type { Decoded } from './instruction.ts';
import type { SlotMemory } from './slot.ts';
import type { Vmm } from './vmm.ts';

/** How the VMM gives the guest a ROM: the memory behind it, and the slot if there is one. */
export interface Layout extends SlotMemory {
  /** KVM_MEM_* of the slot, or null for no slot at all: every access is MMIO. */
  readonly slotFlags: number | null;
}

/**
 * What a VMM can do about an exit: `default`, what it would do without a handler; `retry`, enter the guest again, the
 * handler has seen to it; `skip`, step over the instruction at rip; `die`, give the VM up.
 */
export const REMEDIES = ['default', 'retry', 'skip', 'die'] as const;
export type Remedy = (typeof REMEDIES)[number];

/** A VMM's own answer to an exit. Returning nothing means that it has been seen to (`retry`). */
export type ExitHandler = (vmm: Vmm, exit: ExitRecord) => Remedy | undefined;

/** The same for -EFAULT, with the instruction at rip if it could be decoded. */
export type EfaultHandler = (vmm: Vmm, exit: ExitRecord, stopped: Decoded | undefined) => Remedy | undefined;

/** What the VMM does when the guest comes out. */
export interface Answers {
  /**
   * After KVM_RUN gave -EFAULT: `die`; `skip` the instruction (decode it at rip and step over it); `retry`, which makes
   * the mapping under the store writable first; or a handler. Default: die, for KVM says neither address nor data.
   */
  readonly onEfault?: 'die' | 'skip' | 'retry' | EfaultHandler;
  /** Memory that nothing took or answers. Default: from a device, from memory, or as an empty bus does. */
  readonly onMmio?: ExitHandler;
  /** A port that is not the scenario's. Default: all ones. */
  readonly onPort?: ExitHandler;
  /**
   * How the flash device takes the ROM away from the guest (command mode) and gives it back (ROMD):
   * `slot` deletes and creates the slot; `none` if the strategy sees no store it could react to.
   */
  readonly romd?: 'slot' | 'none';
  /** What reading an address or a port with nothing behind it gives: `kept` leaves `kvm_run`'s data as it was. Default: ones. */
  readonly emptyBus?: 'ones' | 'zeros' | 'kept';
  /** Whose flash chip it has, whatever a scenario's parameter says. */
  readonly flash?: FlashModel;
}

/** A VMM: the layout it gives a ROM, and its answers. A strategy is one, with a series of patches to the kernel. */
export interface VmmPlan {
  readonly layout: Layout;
  readonly vmm?: Answers;
}
