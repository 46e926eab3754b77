/**
 * The memory of a recorded VMM, laid out anew: what a slot shows writable is plain memory; what a slot shows read-only is
 * laid out as the strategy says. A strategy without slots for ROMs makes none.
 */
import { KVM_MEM_READONLY, PROT_READ, PROT_WRITE } from '../../../engine/abi.ts';
import type { Machine } from '../../../engine/machine.ts';
import type { Layout } from '../../../engine/vmm/layout.ts';
import type { SlotCall } from '../read/trace-event.ts';
import { type Area, isReadonly, type ReplayPlan } from './memory-plan.ts';
import { RET } from './replay-guest.ts';

/** An area as it is here. */
interface LiveArea extends Area {
  readonly backing: number;
  /** Its mappings: for slots that may be written, and for those that may not. */
  readonly ramHva: number;
  readonly romHva: number;
}

/** Slots of two address spaces share one number, as the ioctl has them. */
const slotNumber = (call: SlotCall): number => call.addressSpace * 0x10000 + call.slot;

/** The recorded slots and what is behind them. */
export class RecordedMemory {
  readonly #machine: Machine;
  readonly #layout: Layout;
  readonly #areas: readonly LiveArea[];
  /** Live slots of the ordinary view, with what they were made from. */
  readonly #live = new Map<number, SlotCall>();
  /** Slots the strategy does without. */
  readonly #without = new Set<number>();

  constructor(machine: Machine, layout: Layout, plan: ReplayPlan) {
    this.#machine = machine;
    this.#layout = layout;
    this.#areas = plan.areas.map((area) => this.#map(area));
  }

  #map(area: Area): LiveArea {
    const machine = this.#machine;
    const { kind, shared, prot } = area.rom
      ? { kind: this.#layout.backing, shared: this.#layout.shared, prot: this.#layout.prot }
      : { kind: 'shm' as const, shared: true, prot: PROT_READ | PROT_WRITE };
    // Code is looked for in ROMs before any access has been made: `ret` is everywhere.
    const backing = machine.createBacking({ kind, bytes: area.bytes, ...(area.rom ? { fill: RET } : {}) });
    const ramHva = area.ram ? machine.mmap({ backing, prot: PROT_READ | PROT_WRITE, shared: true }) : -1;
    const romHva = area.rom ? machine.mmap({ backing, prot, shared }) : ramHva;
    return { ...area, backing, ramHva, romHva };
  }

  /** The ROMs' pages leave memory: the next touch of each needs the disk. */
  evictRoms(): void {
    for (const area of this.#areas) if (area.rom) this.#machine.dropPageCache(area.backing);
  }

  /** Makes a recorded call; 0 or -errno, or undefined where this strategy makes none. */
  slotCall(call: SlotCall): number | undefined {
    const number = slotNumber(call);
    const { slotFlags } = this.#layout;
    if (call.size === 0 && this.#without.delete(number)) return undefined;
    if (call.size > 0 && isReadonly(call) && slotFlags === null) {
      this.#without.add(number);
      return undefined;
    }
    // KVM_MEM_READONLY is the strategy's to set or not; the other flags are the recording's.
    const flags = isReadonly(call) ? (call.flags & ~KVM_MEM_READONLY) | (slotFlags ?? 0) : call.flags;
    const ret = this.#machine.setUserMemoryRegion({
      slot: number,
      flags,
      guestPhysAddr: call.gpa,
      memorySize: call.size,
      userspaceAddr: this.#hva(call),
    });
    if (ret < 0 || call.addressSpace !== 0) return ret;
    if (call.size === 0) this.#live.delete(number);
    else this.#live.set(number, call);
    return ret;
  }

  /** The VMM puts bytes where the guest sees an address of its RAM; ROMs have theirs from the start. */
  poke(gpa: number, bytes: Uint8Array): void {
    for (const call of this.#live.values()) {
      if (gpa < call.gpa || gpa >= call.gpa + call.size) continue;
      const area = this.#areaOf(call.ua);
      if (area?.rom === false) this.#machine.poke(area.backing, call.ua - area.ua + gpa - call.gpa, bytes);
    }
  }

  #areaOf(ua: number): LiveArea | undefined {
    return this.#areas.find((a) => ua >= a.ua && ua < a.ua + a.bytes);
  }

  /** Where the call's memory is here. An address that was never good stays what it was. */
  #hva(call: SlotCall): number {
    const area = this.#areaOf(call.ua);
    if (area === undefined) return call.ua;
    return (
      (isReadonly(call) ? area.romHva : area.ramHva >= 0 ? area.ramHva : area.romHva) + call.ua - area.ua
    );
  }
}
