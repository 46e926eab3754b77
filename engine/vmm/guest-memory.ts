/** One region of guest memory as the VMM keeps it: backing, mapping, slot, and the bytes it should hold. */

import { KVM_MEM_LOG_DIRTY_PAGES, type MemoryRegion, PAGE_SIZE } from '../abi.ts';
import type { Machine } from '../machine.ts';
import type { Device } from './devices/device.ts';
import type { Layout } from './layout.ts';
import type { Place } from './place.ts';
import type { Settings } from './settings.ts';
import { RAM_MEMORY, Slot } from './slot.ts';

/** How the VMM gives the guest ordinary memory. */
const RAM_LAYOUT: Layout = { ...RAM_MEMORY, slotFlags: 0 };

/** The memory behind a `rom` or `ram` region. */
export class GuestMemory {
  readonly place: Place;
  readonly layout: Layout;
  readonly mapped: Slot;
  /** What the VMM put there, and the device: what the memory should hold. */
  readonly expected: Uint8Array;
  readonly device: Device | undefined;
  /** Where the slot is, or would be made. */
  at: number;
  /** The slot exists. */
  installed = false;
  /** The VMM shows the region to the guest, with a slot or by answering for it. */
  present = false;
  /** Flags the slot has, or is given when it is made. */
  flags: number;
  /** PROT_* the mapping has now. */
  protection: number;
  /** The VMM takes writes to it as meant: they change its bytes. */
  unlocked = false;

  /** `onRomd` hears of a device that changes its mode. */
  constructor(
    machine: Machine,
    place: Place,
    romLayout: Layout,
    number: number,
    settings: Settings,
    onRomd: (region: GuestMemory, on: boolean) => void,
  ) {
    this.place = place;
    this.layout = place.kind === 'rom' ? romLayout : RAM_LAYOUT;
    this.flags = (this.layout.slotFlags ?? 0) | (place.logDirty ? KVM_MEM_LOG_DIRTY_PAGES : 0);
    this.at = place.at;
    this.protection = this.layout.prot;
    this.mapped = new Slot(machine, {
      slot: number,
      guestPhysAddr: place.at,
      bytes: place.bytes,
      memory: this.layout,
    });
    this.expected = place.image.slice();
    // RAM that starts as zeros stays unallocated; a ROM is filled by its VMM.
    if (place.kind === 'rom' || place.content !== undefined) this.mapped.poke(0, this.expected);
    const romd = (on: boolean): void => onRomd(this, on);
    this.device = place.device?.({ bytes: place.bytes, get: this.get, set: this.set, romd }, settings);
  }

  /** The slot's number. */
  get slot(): number {
    return this.mapped.spec.slot;
  }

  /** The mapping that the slot names. */
  get hva(): number {
    return this.mapped.hva;
  }

  /** The memory behind it. */
  get backing(): number {
    return this.mapped.backing;
  }

  /** First address after the slot. */
  get end(): number {
    return this.at + this.place.bytes;
  }

  /** The VMM's slot call succeeded, whoever made it: what the region now is. */
  onSlotCall(region: MemoryRegion): void {
    this.installed = region.memorySize > 0;
    if (!this.installed) return;
    this.present = true;
    this.flags = region.flags;
    this.at = region.guestPhysAddr;
  }

  /** The strategy gives this region a slot at all. */
  get hasSlot(): boolean {
    return this.layout.slotFlags !== null;
  }

  /** Makes the slot; 0 or -errno. Nothing to do without one. */
  install(flags = this.flags): number {
    this.present = true;
    if (!this.hasSlot) return 0;
    return this.mapped.set(flags, this.at);
  }

  /** Deletes the slot; 0 or -errno. */
  remove(): number {
    this.present = false;
    if (!this.installed) return 0;
    return this.mapped.delete();
  }

  /** Changes the flags of the live slot; 0 or -errno. */
  changeFlags(flags: number): number {
    return this.mapped.set(flags, this.at);
  }

  /** Moves the slot; 0 or -errno. What was there is a hole from then on. */
  move(at: number): number {
    return this.mapped.set(this.flags, at);
  }

  /** mprotect() of the mapping; 0 or -errno. */
  protect(prot: number): number {
    const ret = this.mapped.protect(prot);
    if (ret >= 0) this.protection = prot;
    return ret;
  }

  /** Writes through the alias: the memory and what is expected of it. */
  poke(offset: number, bytes: Uint8Array): void {
    this.mapped.poke(offset, bytes);
    this.expected.set(bytes, offset);
  }

  /** Reads through the alias. */
  peek(offset: number, length: number): Uint8Array {
    return this.mapped.peek(offset, length);
  }

  /** Reads the one byte at an offset; for devices. */
  private readonly get = (offset: number): number => this.peek(offset, 1)[0] ?? 0xff;

  private readonly set = (offset: number, value: number): void => this.poke(offset, Uint8Array.of(value));
}

/** Pages whose bit is set in a dirty bitmap. */
export function dirtyCount(bitmap: Uint8Array, bytes: number): number {
  let pages = 0;
  for (let page = 0; page < bytes / PAGE_SIZE; page++) {
    if (((bitmap[page >> 3] ?? 0) >> (page & 7)) & 1) pages += 1;
  }
  return pages;
}
