/**
 * The VMM of a run: it lays the memory out as the strategy says, and does what a scenario's actions ask of it.
 * What differs between strategies follows from their layout, never from their name.
 */

import { errnoName, KVM_MEM_READONLY, PROT_READ, PROT_WRITE } from '../abi.ts';
import type { Machine } from '../machine.ts';
import { dirtyCount, GuestMemory } from './guest-memory.ts';
import type { MemoryPlan } from './layout.ts';
import type { Place } from './place.ts';
import type { Settings } from './settings.ts';

/** One VMM with its one VM. */
export class Vmm<Plan extends MemoryPlan = MemoryPlan> {
  readonly machine: Machine;
  readonly plan: Plan;
  /** Memory-slot ioctls made while the guest runs. */
  slotOps = 0;
  /** The first call that was refused although the guest cannot go on without it. */
  refusal: string | undefined;
  /** What actions found out, by name. */
  readonly notes: Record<string, number | string> = {};
  private readonly regions: GuestMemory[] = [];
  private readonly places: readonly Place[];

  constructor(machine: Machine, plan: Plan, places: readonly Place[], settings: Settings) {
    this.machine = machine;
    this.plan = plan;
    this.places = places;
    this.watchSlots();
    for (const place of places) {
      if (place.kind !== 'rom' && place.kind !== 'ram') continue;
      const region = new GuestMemory(
        machine,
        place,
        plan.layout,
        this.regions.length,
        plan.vmm?.flash === undefined ? settings : { ...settings, flash: plan.vmm.flash },
        this.followRomd,
      );
      this.regions.push(region);
      if (!place.absent) this.must(`creating the slot of '${place.name}'`, region.install());
    }
  }

  /** The memory of a region, by name. */
  memory(name: string): GuestMemory {
    const region = this.regions.find((r) => r.place.name === name);
    if (region === undefined) throw new Error(`scenario: no memory is behind region '${name}'`);
    return region;
  }

  /** All ROMs. */
  get roms(): readonly GuestMemory[] {
    return this.regions.filter((r) => r.place.kind === 'rom');
  }

  /** What is at a guest-physical address, as declared; undefined outside every region. */
  placeAt(gpa: number): Place | undefined {
    return this.places.find((p) => gpa >= p.at && gpa < p.end);
  }

  /** The memory at a guest-physical address, where its slot is now. */
  memoryAt(gpa: number): GuestMemory | undefined {
    return this.regions.find((r) => gpa >= r.at && gpa < r.end);
  }

  /** The VMM writes through its alias; that is what the region should hold from now on. */
  poke(name: string, offset: number, bytes: Uint8Array): void {
    this.memory(name).poke(offset, bytes);
  }

  /** The region's pages leave memory altogether: the next touch needs I/O. */
  evict(name: string): void {
    this.memory(name).mapped.dropPageCache();
  }

  /** Turns dirty logging of a live slot on; nothing to do without a slot. */
  logDirty(name: string): void {
    const region = this.memory(name);
    if (!region.installed) return;
    this.count();
    this.must(`logging dirty pages of '${name}'`, region.changeFlags(region.flags | 1));
  }

  /** `KVM_GET_DIRTY_LOG`: pages found dirty since the last time, or -errno; 0 without a slot. */
  dirtyPages(name: string): number {
    const region = this.memory(name);
    if (!region.installed) return 0;
    const log = region.mapped.dirtyLog();
    return log.ret < 0 ? log.ret : dirtyCount(log.bitmap, region.place.bytes);
  }

  /** Gives the guest the region: creates its slot. */
  install(name: string): void {
    const region = this.memory(name);
    if (region.hasSlot && !region.installed) this.count();
    this.must(`creating the slot of '${name}'`, region.installed ? 0 : region.install());
  }

  /** Takes the region away: deletes its slot. */
  remove(name: string): void {
    const region = this.memory(name);
    if (region.installed) this.count();
    this.must(`deleting the slot of '${name}'`, region.remove());
  }

  /** Moves the slot of a region; nothing to do without one. */
  move(name: string, at: number): void {
    const region = this.memory(name);
    if (!region.installed) return;
    this.count();
    this.must(`moving the slot of '${name}'`, region.move(at));
  }

  /** Makes the guest's writes to a ROM count, the way the layout needs it: flag, protection, or by hand. */
  unlock(name: string): void {
    const region = this.memory(name);
    region.unlocked = true;
    if ((region.layout.prot & PROT_WRITE) === 0) {
      this.must('mprotect()', region.protect(PROT_READ | PROT_WRITE));
    }
    this.flip(region, region.flags & ~KVM_MEM_READONLY);
  }

  /** The ROM is read-only again. What the guest wrote meanwhile is what it should hold. */
  lock(name: string): void {
    const region = this.memory(name);
    region.unlocked = false;
    region.expected.set(region.peek(0, region.place.bytes));
    if ((region.layout.prot & PROT_WRITE) === 0) {
      this.must('mprotect()', region.protect(region.layout.prot));
    }
    this.flip(region, region.flags | ((region.layout.slotFlags ?? 0) & KVM_MEM_READONLY));
  }

  /** Remembers a value for the run's claims. */
  note(name: string, value: number | string): void {
    this.notes[name] = value;
  }

  /**
   * Flags of a live slot. Since 3.9 the kernel refuses to change KVM_MEM_READONLY, so the VMM falls back to
   * deleting the slot and making it again; the refusals are counted.
   */
  private flip(region: GuestMemory, flags: number): void {
    if (!region.installed || flags === region.flags) return;
    this.count();
    if (region.changeFlags(flags) >= 0) return;
    this.note('refused flag changes', Number(this.notes['refused flag changes'] ?? 0) + 1);
    this.count();
    this.must('deleting the slot', region.remove());
    this.count();
    this.must('creating the slot', region.install(flags));
  }

  /** A device's memory follows its mode at once: a slot in array mode, none in command mode. */
  private readonly followRomd = (region: GuestMemory, on: boolean): void => {
    if (this.plan.vmm?.romd !== 'slot') return;
    if (on) this.install(region.place.name);
    else this.remove(region.place.name);
  };

  /** What the VMM knows of its slots comes from its calls, whether a helper here makes them or a scenario by hand. */
  private watchSlots(): void {
    const call = this.machine.setUserMemoryRegion.bind(this.machine);
    this.machine.setUserMemoryRegion = (region) => {
      const ret = call(region);
      if (ret >= 0) this.regions.find((r) => r.slot === region.slot)?.onSlotCall(region);
      return ret;
    };
  }

  private count(): void {
    this.slotOps += 1;
  }

  private must(call: string, ret: number): void {
    if (ret < 0) this.refusal ??= `${call} was refused: -${errnoName(-ret)}`;
  }
}
