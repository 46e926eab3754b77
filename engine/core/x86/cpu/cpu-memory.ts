/** The processor's way to memory: segments, then `CpuBus`. The machine's port inside `Cpu`. */
import type { Insn } from '../insn/insn.ts';
import { CPU_EXIT_HLT, CPU_EXIT_IO, CPU_GUEST_PF, type CpuBus } from '../ports.ts';
import type { Processor } from '../processor.ts';
import { EXCEPTION, type ProcessorPort, VECTOR_GP, VECTOR_PF, VECTOR_SS } from '../processor-port.ts';
import { canonicalOf, FS, linearOf, MODE_LONG64, MODE_REAL16, RDX, SS } from '../regs.ts';

/** First address that is not canonical; below 0 are the addresses of the upper half. */
const CANONICAL_END = 2 ** 47;

/** The `in`, `out`, `ins` or `outs` of the last CPU_EXIT_IO. */
export interface PortAccess {
  port: number;
  /** Bytes: 1, 2 or 4. */
  size: number;
  isIn: boolean;
  /** INS or OUTS: KVM emulates it, nothing but the port is filled in. */
  isString: boolean;
  /** Data of an `out`. */
  value: number;
}

/** The processor's way to memory, as the instructions' semantics see it. */
export class CpuPort implements ProcessorPort {
  readonly emulator = false;
  readonly #bus: CpuBus;
  readonly io: PortAccess = { port: 0, size: 1, isIn: false, isString: false, value: 0 };
  /** The machine this is the port of. */
  m!: Processor;
  /** Segment bases are 0 and offsets 32 bits: addresses need no further look. */
  flat = false;

  constructor(bus: CpuBus) {
    this.#bus = bus;
  }

  /** Linear address of `n` bytes at `off` in `seg`; -1 if segment or canonical form forbid it, with #GP or #SS raised. */
  linear(seg: number, off: number, n: number): number {
    const regs = this.m.regs;
    if (regs.mode === MODE_LONG64) {
      const at = seg >= FS ? off + regs.segBase[seg]! : off;
      return at >= 0 && at + n <= CANONICAL_END ? at : this.#beyond(seg, at, n);
    }
    // No limit in real mode: QEMU's processor checks none, and an access runs on past offset FFFF.
    if (regs.mode === MODE_REAL16) return regs.segBase[seg]! + off;
    return (regs.segBase[seg]! + off) >>> 0;
  }

  /** Linear address for the hot shapes; -1 where the handler has to look closer. */
  address(i: Insn): number {
    const gpr = this.m.gpr;
    if (this.flat && i.addrSize === 4) {
      let a = i.disp;
      if (i.base >= 0) a = (a + gpr[2 * i.base]!) | 0;
      if (i.index >= 0) a = (a + (gpr[2 * i.index]! << i.scale)) | 0;
      return a >>> 0;
    }
    return this.linear(i.seg, this.m.ea(i), i.size);
  }

  #limit(seg: number): number {
    this.m.raise(seg === SS ? VECTOR_SS : VECTOR_GP, 0);
    return -1;
  }

  /** Not in the lower half: in the upper one, or nowhere. */
  #beyond(seg: number, at: number, n: number): number {
    return at >= 0 || at < -CANONICAL_END || at + n > 0 ? this.#limit(seg) : linearOf(at);
  }

  /** Why the bus did not do it: an exception of the guest's page tables, or an exit. */
  refused(): number {
    const bus = this.#bus;
    if (bus.stop !== CPU_GUEST_PF) return bus.stop;
    this.m.regs.cr2 = canonicalOf(bus.faultAddress);
    return this.m.raise(VECTOR_PF, bus.faultCode);
  }

  load(seg: number, off: number, n: number): number {
    const at = this.linear(seg, off, n);
    return at < 0 ? EXCEPTION : this.#loadAt(at, n);
  }

  loadLinear(at: number, n: number): number {
    const user = this.m.regs.cpl === 3;
    if (user) this.m.regs.setCpl(0);
    const stop = this.#loadAt(at, n);
    if (user) this.m.regs.setCpl(3);
    return stop;
  }

  storeLinear(at: number, n: number, lo: number, hi: number): number {
    const user = this.m.regs.cpl === 3;
    if (user) this.m.regs.setCpl(0);
    const stop = this.#storeAt(at, n, lo, hi);
    if (user) this.m.regs.setCpl(3);
    return stop;
  }

  #loadAt(at: number, n: number): number {
    const bus = this.#bus;
    const m = this.m;
    m.hi = 0;
    if (n === 4) m.lo = bus.read32(at) | 0;
    else if (n === 1) m.lo = bus.read8(at);
    else if (n === 2) m.lo = bus.read16(at);
    else {
      bus.readN(at, 8);
      const b = bus.buf;
      m.lo = b[0]! | (b[1]! << 8) | (b[2]! << 16) | (b[3]! << 24);
      m.hi = b[4]! | (b[5]! << 8) | (b[6]! << 16) | (b[7]! << 24);
    }
    return bus.stop === 0 ? 0 : this.refused();
  }

  store(seg: number, off: number, n: number, lo: number, hi: number): number {
    const at = this.linear(seg, off, n);
    return at < 0 ? EXCEPTION : this.#storeAt(at, n, lo, hi);
  }

  #storeAt(at: number, n: number, lo: number, hi: number): number {
    const bus = this.#bus;
    if (n === 4) bus.write32(at, lo);
    else if (n === 1) bus.write8(at, lo);
    else if (n === 2) bus.write16(at, lo);
    else {
      const b = bus.buf;
      for (let k = 0; k < 4; k++) {
        b[k] = lo >>> (8 * k);
        b[4 + k] = hi >>> (8 * k);
      }
      bus.writeN(at, 8);
    }
    return bus.stop === 0 ? 0 : this.refused();
  }

  /** One processor: a locked store is a store. */
  storeLocked(seg: number, off: number, n: number, lo: number, hi: number): number {
    return this.store(seg, off, n, lo, hi);
  }

  /** Eight bytes at a time, as QEMU does it: what was stored before a refused part stays stored. */
  loadBytes(seg: number, off: number, n: number): number {
    for (let k = 0; k < n; k += 8) {
      const part = Math.min(8, n - k);
      const at = this.linear(seg, off + k, part);
      if (at < 0) return EXCEPTION;
      this.#bus.readN(at, part);
      if (this.#bus.stop !== 0) return this.refused();
      for (let b = 0; b < part; b++) this.m.buf[k + b] = this.#bus.buf[b]!;
    }
    return 0;
  }

  storeBytes(seg: number, off: number, n: number): number {
    for (let k = 0; k < n; k += 8) {
      const part = Math.min(8, n - k);
      const at = this.linear(seg, off + k, part);
      if (at < 0) return EXCEPTION;
      for (let b = 0; b < part; b++) this.#bus.buf[b] = this.m.buf[k + b]!;
      this.#bus.writeN(at, part);
      if (this.#bus.stop !== 0) return this.refused();
    }
    return 0;
  }

  /** SGDT and SIDT: two bytes of limit, then the base. */
  storeStd(seg: number, off: number, n: number): number {
    const w = this.m.view;
    const stop = this.store(seg, off, 2, w.getUint16(0, true), 0);
    if (stop !== 0) return stop;
    return this.store(seg, off + 2, n - 2, w.getInt32(2, true), w.getInt32(6, true));
  }

  /** LGDT and LIDT: two bytes of limit, then the base. */
  loadStd(seg: number, off: number, n: number): number {
    let stop = this.load(seg, off, 2);
    if (stop !== 0) return stop;
    const limit = this.m.lo;
    stop = this.load(seg, off + 2, n - 2);
    this.m.view.setUint16(0, limit, true);
    this.m.view.setInt32(2, this.m.lo, true);
    this.m.view.setInt32(6, this.m.hi, true);
    return stop;
  }

  portIn(port: number, size: number): number {
    return this.#exit(port, size, true, 0);
  }

  portOut(port: number, size: number, value: number): number {
    return this.#exit(port, size, false, value);
  }

  #exit(port: number, size: number, isIn: boolean, value: number): number {
    const io = this.io;
    io.port = port;
    io.size = size;
    io.isIn = isIn;
    io.isString = false;
    io.value = value;
    return CPU_EXIT_IO;
  }

  stringIn(i: Insn): number {
    const stop = this.#exit(this.m.gpr[2 * RDX]! & 0xffff, i.opSize, true, 0);
    this.io.isString = true;
    return stop;
  }

  stringOut(i: Insn): number {
    const stop = this.#exit(this.m.gpr[2 * RDX]! & 0xffff, i.opSize, false, 0);
    this.io.isString = true;
    return stop;
  }

  halt(): number {
    return CPU_EXIT_HLT;
  }
}
