/** A memory slot as every VMM here keeps it: memory, its mapping, and the ioctl that shows it to the guest. */
import { PROT_READ, PROT_WRITE } from '../abi.ts';
import { type BackingKind, type DirtyLog, HUGE_PAGE_SIZE, type Machine } from '../machine.ts';

/** The memory behind a slot and the mapping that the slot names. */
export interface SlotMemory {
  /** What stands behind it. */
  readonly backing: BackingKind;
  /** MAP_SHARED (the VMM's alias sees every write) or MAP_PRIVATE (copy on write). */
  readonly shared: boolean;
  /** PROT_* of the mapping that the slot names. */
  readonly prot: number;
  /** Anonymous memory of transparent huge pages. */
  readonly transparentHuge?: boolean;
  /** The pages are with a userfaultfd handler (`BackingSpec`). */
  readonly userfaultfd?: 'prompt' | 'slow';
}

/** Where a slot is and what is behind it. */
export interface SlotSpec {
  /** The slot's number. */
  readonly slot: number;
  readonly guestPhysAddr: number;
  readonly bytes: number;
  /** KVM_MEM_* it is made with; none if absent. */
  readonly flags?: number;
  readonly memory: SlotMemory;
  /** The byte the memory is filled with first. */
  readonly fill?: number;
  /** Another slot whose memory this one has too, by a mapping of its own. */
  readonly same?: Slot;
  /** Where the mapping shall lie in a huge page (`MappingSpec`). */
  readonly hugeOffset?: number;
}

/** How a VMM gives the guest ordinary memory. */
export const RAM_MEMORY: SlotMemory = { backing: 'shm', shared: true, prot: PROT_READ | PROT_WRITE };

/** A memory slot: mapped when it is made, shown to the guest when `set` is called. Calls return 0 or -errno. */
export class Slot {
  readonly spec: SlotSpec;
  readonly backing: number;
  readonly hva: number;
  readonly #machine: Machine;

  constructor(machine: Machine, spec: SlotSpec) {
    const { memory, bytes, fill, same, hugeOffset } = spec;
    const { transparentHuge, userfaultfd } = memory;
    this.spec = spec;
    this.#machine = machine;
    this.backing =
      same?.backing ??
      machine.createBacking({
        kind: memory.backing,
        // A memfd of huge pages has whole ones, whatever part of it a slot shows.
        bytes: memory.backing === 'hugetlb' ? Math.ceil(bytes / HUGE_PAGE_SIZE) * HUGE_PAGE_SIZE : bytes,
        ...(fill === undefined ? {} : { fill }),
        ...(transparentHuge === undefined ? {} : { transparentHuge }),
        ...(userfaultfd === undefined ? {} : { userfaultfd }),
      });
    this.hva = machine.mmap({
      backing: this.backing,
      prot: memory.prot,
      shared: memory.shared,
      ...(hugeOffset === undefined ? {} : { hugeOffset }),
    });
  }

  /** Makes the slot, gives it other flags, or moves it. */
  set(flags = this.spec.flags ?? 0, at = this.spec.guestPhysAddr): number {
    return this.#region(flags, this.spec.bytes, at);
  }

  /** Deletes the slot; the memory stays. */
  delete(): number {
    return this.#region(0, 0, this.spec.guestPhysAddr);
  }

  /** `KVM_GET_DIRTY_LOG`. */
  dirtyLog(): DirtyLog {
    return this.#machine.getDirtyLog(this.spec.slot);
  }

  /** mprotect() of the whole mapping. */
  protect(prot: number): number {
    return this.#machine.mprotect(this.hva, this.spec.bytes, prot);
  }

  /** The pages leave the mapping; of anonymous memory and private copies nothing is left. */
  dontneed(): number {
    return this.#machine.madviseDontneed(this.hva, this.spec.bytes);
  }

  /** The pages leave memory altogether. */
  dropPageCache(): number {
    return this.#machine.dropPageCache(this.backing);
  }

  /** How many pages are in memory (mincore()). */
  residentPages(): number {
    return this.#machine.residentPages(this.hva);
  }

  /** Writes through the alias. */
  poke(offset: number, bytes: Uint8Array): void {
    this.#machine.poke(this.backing, offset, bytes);
  }

  /** Reads through the alias. */
  peek(offset: number, length: number): Uint8Array {
    return this.#machine.peek(this.backing, offset, length);
  }

  #region(flags: number, memorySize: number, guestPhysAddr: number): number {
    return this.#machine.setUserMemoryRegion({
      slot: this.spec.slot,
      flags,
      guestPhysAddr,
      memorySize,
      userspaceAddr: this.hva,
    });
  }
}
