/**
 * The processor's way to memory: a software TLB in front of the guest's page tables and stage 2.
 *
 * A hit is one compare. Everything unusual (a page not mapped, not writable, with decoded code on it, with
 * dirty bits to set) is kept out of the TLB's tags, so that all of it shares the slow path.
 */
import {
  PAGE_MASK,
  PAGE_SHIFT,
  PFERR_FETCH,
  PFERR_GUEST_PAGE,
  PFERR_PRESENT,
  PFERR_RSVD,
  PFERR_USER,
  PFERR_WRITE,
} from '../../abi.ts';
import { TLB, TLB_ENTRIES, type Vm } from '../vm.ts';
import { CPU_EXIT_NPF, CPU_GUEST_PF, CPU_OK, type CpuBus } from '../x86/ports.ts';
import { CR0_PG, EFER_LMA, type Regs } from '../x86/regs.ts';
import {
  ACCESS_FETCH,
  ACCESS_READ,
  ACCESS_WRITE,
  WALK_OK,
  WALK_PAGE_FAULT,
  Walk,
} from './paging/guest-walk.ts';
import type { ShadowTables } from './paging/shadow.ts';
import {
  SPTE_FRAME_SHIFT,
  SPTE_MMIO,
  SPTE_NX,
  SPTE_PRESENT,
  SPTE_USER,
  SPTE_WRITE,
  spteOf,
} from './paging/stage2.ts';

const TLB_MASK = TLB_ENTRIES - 1;
const FOUR_GIB = 2 ** 32;

/** Offset of the TLB entry for a linear page. Folding in higher bits keeps power-of-two strides apart. */
const tlbEntry = (page: number): number => TLB + (((page ^ (page >>> 10)) & TLB_MASK) << 2);

/** The guest CPU's bus. */
export class GuestBus implements CpuBus {
  stop = CPU_OK;
  faultAddress = 0;
  faultCode = 0;
  readonly buf = new Uint8Array(64);
  /** After CPU_EXIT_NPF: guest-physical address, PFERR_* code, and the linear address behind it. */
  npfGpa = 0;
  npfCode = 0;
  npfLinear = 0;
  readonly vm: Vm;
  readonly regs: Regs;
  /** Under shadow paging, the tables the processor really walks while the guest has paging on. */
  shadow: ShadowTables | undefined;
  readonly #walk = new Walk();

  constructor(vm: Vm, regs: Regs) {
    this.vm = vm;
    this.regs = regs;
  }

  /** For Walk.walk(): the processor reaches guest tables through stage 2, always for write. */
  get mem32(): Int32Array {
    return this.vm.mem32;
  }

  /** A guest table's entry: its byte offset, or -1 with the nested fault recorded. */
  entryAt(gpa: number): number {
    const spte = spteOf(this.vm, Math.floor(gpa / 4096));
    const need = SPTE_PRESENT | SPTE_WRITE;
    if ((spte & need) === need) return ((spte >>> SPTE_FRAME_SHIFT) << PAGE_SHIFT) | (gpa & PAGE_MASK);
    this.#npf(gpa, spte, PFERR_WRITE | PFERR_USER | PFERR_GUEST_PAGE);
    return -1;
  }

  /** The processor sets accessed and dirty bits in place. */
  setBits(at: number, _gpa: number, bits: number): boolean {
    this.vm.mem32[at >> 2]! |= bits;
    return true;
  }

  #npf(gpa: number, spte: number, code: number): void {
    const present = (spte & SPTE_PRESENT) !== 0 ? PFERR_PRESENT : 0;
    const reserved = (spte & SPTE_MMIO) !== 0 ? PFERR_RSVD | PFERR_PRESENT : 0;
    this.npfGpa = gpa;
    this.npfCode = code | present | reserved;
    this.stop = CPU_EXIT_NPF;
  }

  /**
   * Translates; returns the byte offset in the frames' memory, or -1 with `stop` set. Fills the TLB.
   */
  translate(linear: number, access: number): number {
    this.npfLinear = linear;
    const paging = (this.regs.cr0 & CR0_PG) !== 0;
    if (paging && this.shadow !== undefined) return this.#throughShadow(linear, access);
    let gpa = linear;
    if (paging) {
      const result = this.#walk.walk(this.regs, linear % 2 ** 48, access, this.regs.cpl === 3, this);
      if (result !== WALK_OK) return this.#walkFailed(result, linear);
      gpa = this.#walk.gpa;
    }
    const gfn = Math.floor(gpa / 4096);
    const spte = gfn < 2 ** 28 ? spteOf(this.vm, gfn) : 0;
    const need = access === ACCESS_WRITE ? SPTE_PRESENT | SPTE_WRITE : SPTE_PRESENT;
    if ((spte & need) !== need) {
      const fetch = access === ACCESS_FETCH ? PFERR_FETCH : 0;
      this.#npf(gpa, spte, PFERR_USER | fetch | (access === ACCESS_WRITE ? PFERR_WRITE : 0));
      return -1;
    }
    return this.#fill(linear, spte, access === ACCESS_WRITE || !paging);
  }

  #walkFailed(result: number, linear: number): number {
    if (result !== WALK_PAGE_FAULT) return -1;
    this.stop = CPU_GUEST_PF;
    this.faultAddress = linear;
    this.faultCode = this.#walk.code;
    return -1;
  }

  #throughShadow(linear: number, access: number): number {
    const spte = this.shadow!.entry(Math.floor(linear / 4096));
    const user = this.regs.cpl === 3;
    let need = access === ACCESS_WRITE ? SPTE_PRESENT | SPTE_WRITE : SPTE_PRESENT;
    if (user) need |= SPTE_USER;
    const refused = access === ACCESS_FETCH && (spte & SPTE_NX) !== 0;
    if ((spte & need) === need && !refused) return this.#fill(linear, spte, true);
    const fetch = access === ACCESS_FETCH ? PFERR_FETCH : 0;
    const code = fetch | (access === ACCESS_WRITE ? PFERR_WRITE : 0) | (user ? PFERR_USER : 0);
    this.#npf(linear, spte, code);
    return -1;
  }

  /** Enters the page into the TLB; writable only if stage 2 says so, the guest's dirty bit is set and no code is there. */
  #fill(linear: number, spte: number, mayWrite: boolean): number {
    const vm = this.vm;
    const frame = spte >>> SPTE_FRAME_SHIFT;
    const at = frame << PAGE_SHIFT;
    this.stop = CPU_OK;
    if (linear < FOUR_GIB) {
      const page = linear >>> PAGE_SHIFT;
      const e = tlbEntry(page);
      const writable = mayWrite && (spte & SPTE_WRITE) !== 0 && vm.codeVersions[frame] === 0;
      const h = vm.h;
      const keep = h[e] === page && h[e + 1] === page && h[e + 2] === at;
      h[e] = page;
      h[e + 1] = writable || keep ? page : -1;
      h[e + 2] = at;
    }
    return at | (linear & PAGE_MASK);
  }

  read8(linear: number): number {
    if (linear < FOUR_GIB) {
      const page = linear >>> PAGE_SHIFT;
      const h = this.vm.h;
      const e = tlbEntry(page);
      if (h[e] === page) {
        this.stop = CPU_OK;
        return this.vm.mem[h[e + 2]! + (linear & PAGE_MASK)]!;
      }
    }
    const at = this.translate(linear, ACCESS_READ);
    return at < 0 ? 0 : this.vm.mem[at]!;
  }

  read16(linear: number): number {
    this.readN(linear, 2);
    return this.buf[0]! | (this.buf[1]! << 8);
  }

  read32(linear: number): number {
    if (linear < FOUR_GIB && (linear & 3) === 0) {
      const page = linear >>> PAGE_SHIFT;
      const h = this.vm.h;
      const e = tlbEntry(page);
      if (h[e] === page) {
        this.stop = CPU_OK;
        return this.vm.mem32[(h[e + 2]! + (linear & PAGE_MASK)) >> 2]!;
      }
    }
    this.readN(linear, 4);
    const b = this.buf;
    return b[0]! | (b[1]! << 8) | (b[2]! << 16) | (b[3]! << 24);
  }

  write8(linear: number, value: number): void {
    if (linear < FOUR_GIB) {
      const page = linear >>> PAGE_SHIFT;
      const h = this.vm.h;
      const e = tlbEntry(page);
      if (h[e + 1] === page) {
        this.stop = CPU_OK;
        this.vm.mem[h[e + 2]! + (linear & PAGE_MASK)] = value;
        return;
      }
    }
    this.buf[0] = value;
    this.writeN(linear, 1);
  }

  write16(linear: number, value: number): void {
    this.buf[0] = value;
    this.buf[1] = value >>> 8;
    this.writeN(linear, 2);
  }

  write32(linear: number, value: number): void {
    if (linear < FOUR_GIB && (linear & 3) === 0) {
      const page = linear >>> PAGE_SHIFT;
      const h = this.vm.h;
      const e = tlbEntry(page);
      if (h[e + 1] === page) {
        this.stop = CPU_OK;
        this.vm.mem32[(h[e + 2]! + (linear & PAGE_MASK)) >> 2] = value;
        return;
      }
    }
    const b = this.buf;
    b[0] = value;
    b[1] = value >>> 8;
    b[2] = value >>> 16;
    b[3] = value >>> 24;
    this.writeN(linear, 4);
  }

  readN(linear: number, n: number): void {
    const first = Math.min(n, 4096 - (linear % 4096));
    const at = this.translate(linear, ACCESS_READ);
    if (at < 0) return;
    const mem = this.vm.mem;
    for (let i = 0; i < first; i++) this.buf[i] = mem[at + i]!;
    if (first === n) return;
    const rest = this.translate(this.#next(linear + first), ACCESS_READ);
    if (rest < 0) return;
    for (let i = first; i < n; i++) this.buf[i] = mem[rest + i - first]!;
  }

  writeN(linear: number, n: number): void {
    const first = Math.min(n, 4096 - (linear % 4096));
    const at = this.translate(linear, ACCESS_WRITE);
    if (at < 0) return;
    const rest = first === n ? at : this.translate(this.#next(linear + first), ACCESS_WRITE);
    if (rest < 0) return;
    const vm = this.vm;
    for (let i = 0; i < first; i++) vm.mem[at + i] = this.buf[i]!;
    vm.touchCode(at >>> PAGE_SHIFT);
    if (first === n) return;
    for (let i = first; i < n; i++) vm.mem[rest + i - first] = this.buf[i]!;
    vm.touchCode(rest >>> PAGE_SHIFT);
  }

  /** Without long mode linear addresses wrap at 4 GiB. */
  #next(linear: number): number {
    return (this.regs.efer & EFER_LMA) === 0 ? linear % FOUR_GIB : linear;
  }

  codePage(linear: number): number {
    const at = this.translate(linear, ACCESS_FETCH);
    if (at < 0) return -1;
    const frame = at >>> PAGE_SHIFT;
    if (this.vm.codeVersions[frame] === 0) {
      this.vm.codeVersions[frame] = 1;
      // From now on stores to this page have to come by the slow path.
      this.vm.flushTlb();
    }
    return frame;
  }

  codeVersion(page: number): number {
    return this.vm.codeVersions[page]!;
  }

  /** Bytes at `linear` that the TLB can reach, up to `n`: looking changes nothing. For explanations. */
  peek(linear: number, n: number): Uint8Array {
    const page = linear >>> PAGE_SHIFT;
    const e = tlbEntry(page);
    const there = linear < FOUR_GIB && this.vm.h[e] === page;
    if (!there) return new Uint8Array(0);
    const at = this.vm.h[e + 2]! + (linear & PAGE_MASK);
    return this.vm.mem.slice(at, at + Math.min(n, 4096 - (linear & PAGE_MASK)));
  }

  fetch(linear: number, into: Uint8Array, at: number, n: number): void {
    const from = this.translate(linear, ACCESS_FETCH);
    if (from < 0) return;
    for (let i = 0; i < n; i++) into[at + i] = this.vm.mem[from + i]!;
  }
}
