/**
 * A machine laid out for the hot loops, and the lists of pages they go through. No clock in here; whoever measures
 * brings one. The C port's machines (c/core.h) are laid out alike.
 */
import { PAGE_SIZE, PROT_READ, PROT_WRITE } from '../../abi.ts';
import { assert } from '../../assert.ts';
import type { Patch } from '../../policy.ts';
import type { Layout } from '../../vmm/layout.ts';
import { Slot } from '../../vmm/slot.ts';
import { CoreMachine } from '../core-machine.ts';
import { AccessBatch } from './batch.ts';
import { digestOf } from './work.ts';

/** How a ROM is given to the guest, and who decides about it: the parts of a strategy that a hot loop meets. */
export interface RomSpec {
  readonly layout: Layout;
  readonly series: readonly Patch[];
}

/** A guest's memory: RAM from page 0 in slot 0, ROMs from `romGfn` on, `gap` pages apart. */
export interface GuestLayout {
  readonly ramPages: number;
  readonly roms: number;
  readonly romGfn: number;
  readonly romPages: number;
  readonly gap: number;
}

/** The layout of all loops but the scaling ones: 64 MiB of RAM, seven ROMs of 1 MiB. */
export const STANDARD: GuestLayout = {
  ramPages: 16384,
  roms: 7,
  romGfn: 0x20000,
  romPages: 256,
  gap: 0x1000,
};

/** A list of pages, made from a formula. */
export const pageList = (n: number, page: (i: number) => number): Int32Array =>
  Int32Array.from({ length: n }, (_, i) => page(i));

/** The lists that the loops go through: 64 pages that stay in the TLB, 4,096 that never do. */
export const RAM_64 = pageList(64, (i) => (i * 37) & 1023);
export const ROM_64 = pageList(64, (i) => STANDARD.romGfn + ((i * 37) & 255));
export const RAM_4096 = pageList(4096, (i) => (i * 5) & 16383);

/** A machine laid out for the loops. */
export class BenchMachine {
  readonly machine: CoreMachine;
  readonly batch: AccessBatch;
  readonly #ramHva: number;
  readonly #ramPages: number;

  constructor(rom: RomSpec, layout: GuestLayout = STANDARD, rememberRefusals = false) {
    const m = new CoreMachine({ series: rom.series });
    this.machine = m;
    m.vm.digestsEveryEvent = false;
    this.#ramPages = layout.ramPages;
    this.#ramHva = addSlot(m, 0, 0, layout.ramPages, {
      backing: 'shm',
      shared: true,
      prot: PROT_READ | PROT_WRITE,
      slotFlags: 0,
    });
    for (let i = 0; i < layout.roms; i++) {
      addSlot(m, i + 1, layout.romGfn + i * layout.gap, layout.romPages, rom.layout);
    }
    this.batch = new AccessBatch(m.vcpu, { rememberRefusals });
  }

  /** Faults the standard lists' pages in. */
  populate(): void {
    this.batch.runWrites(RAM_4096, 4095, 4096);
    this.batch.runWrites(RAM_64, 63, 64);
    this.batch.runReads(ROM_64, 63, 64);
  }

  /** Takes all stage-2 entries away, as the deletion of a slot does; the host keeps its pages. */
  unmapAll(): void {
    this.machine.mmu.stage2.zapAll();
  }

  /** All of RAM leaves the host's memory: the next touch of a page is a stage-2 fault and waits for a disk. */
  evict(): void {
    this.machine.mmu.host.pageOut(this.#ramHva / PAGE_SIZE, this.#ramPages);
  }

  /** Memory that the machine's tables and frames take, in bytes. */
  get bytes(): number {
    const { h, mem } = this.machine.vm;
    return h.byteLength + mem.byteLength;
  }

  /** What the loops did, as one number: the last events, fault words and steps. */
  digest(): string {
    return digestOf(this.machine.vm);
  }
}

function addSlot(
  m: CoreMachine,
  slot: number,
  gfn: number,
  pages: number,
  layout: RomSpec['layout'],
): number {
  const made = new Slot(m, {
    slot,
    guestPhysAddr: gfn * PAGE_SIZE,
    bytes: pages * PAGE_SIZE,
    memory: layout,
  });
  assert(made.hva > 0, 'the benchmark cannot map its memory');
  if (layout.slotFlags !== null)
    assert(made.set(layout.slotFlags) === 0, 'the benchmark cannot make its slots');
  return made.hva;
}
