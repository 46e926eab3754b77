/** The emulator's way to memory: `linearize()`, the read cache, then `EmulateOps`. Linux 6.1, emulate.c. */
import { advance } from '../exec/integer/exec-string.ts';
import type { Insn } from '../insn/insn.ts';
import {
  type EmulateOps,
  X86EMUL_CONTINUE,
  X86EMUL_IO_NEEDED,
  X86EMUL_PROPAGATE_FAULT,
  X86EMUL_UNHANDLEABLE,
} from '../ports.ts';
import type { Processor } from '../processor.ts';
import { type ProcessorPort, VECTOR_GP, VECTOR_SS } from '../processor-port.ts';
import {
  DF,
  ES,
  FS,
  isCanonical,
  linearOf,
  MODE_LONG64,
  MODE_REAL16,
  RCX,
  RDI,
  RDX,
  RSI,
  SEG_BIG,
  SEG_CODE,
  SEG_DOWN,
  SEG_RW,
  SS,
} from '../regs.ts';

const READ_CACHE_SIZE = 1024;
const PAGE = 4096;

export class EmulatorPort implements ProcessorPort {
  readonly emulator = true;
  readonly #ops: EmulateOps;
  /** The machine this is the port of. */
  m!: Processor;
  /** `mem_read`: what this instruction has read, so that it need not read it again when it is executed again. */
  readonly #read = new Uint8Array(READ_CACHE_SIZE);
  #readPos = 0;
  #readEnd = 0;
  /** `io_read`: what `ins` has read ahead. */
  readonly #pio = new Uint8Array(READ_CACHE_SIZE);
  pioPos = 0;
  pioEnd = 0;
  /** Elements that the last string instruction did. */
  count = 1;
  #linear = 0;

  constructor(ops: EmulateOps) {
    this.#ops = ops;
  }

  /** Before each execution: reads start over, from the cache. */
  rewind(): void {
    this.#readPos = 0;
    this.count = 1;
  }

  /** Forgets what was read: before decoding, and when a string instruction goes on. */
  resetReadCache(): void {
    this.#readEnd = 0;
  }

  resetPio(): void {
    this.pioPos = 0;
    this.pioEnd = 0;
  }

  /** Sets the linear address, or raises #GP or #SS as `linearize()` does: 0 or EXCEPTION. */
  linearize(seg: number, off: number, n: number, write = false): number {
    const regs = this.m.regs;
    if (regs.mode === MODE_LONG64) {
      const at = seg >= FS ? off + regs.segBase[seg]! : off;
      if (!isCanonical(at) || !isCanonical(at + n - 1)) return this.#bad(seg);
      this.#linear = linearOf(at);
      return 0;
    }
    if (!this.#allows(seg, write) || !this.#withinLimit(seg, off, n)) return this.#bad(seg);
    this.#linear = (regs.segBase[seg]! + off) >>> 0;
    return 0;
  }

  /** Code is never writable and not always readable; data not always writable. In real mode only the latter counts. */
  #allows(seg: number, write: boolean): boolean {
    const { regs } = this.m;
    const attr = regs.segAttr[seg]!;
    if (regs.mode === MODE_REAL16) return true;
    if (write) return (attr & (SEG_CODE | SEG_RW)) === SEG_RW;
    return (attr & (SEG_CODE | SEG_RW)) !== SEG_CODE;
  }

  /** The processor below checks no limits and KVM does: the segment's, where it is usable at all. */
  #withinLimit(seg: number, off: number, n: number): boolean {
    const { regs } = this.m;
    const attr = regs.segAttr[seg]!;
    const limit = regs.segLimit[seg]!;
    if (regs.mode === MODE_REAL16) return off + n - 1 <= limit;
    if (attr === 0) return false;
    if ((attr & (SEG_CODE | SEG_DOWN)) !== SEG_DOWN) return off + n - 1 <= limit;
    return off > limit && off + n - 1 <= (attr & SEG_BIG ? 0xffffffff : 0xffff);
  }

  #bad(seg: number): number {
    return this.m.raise(seg === SS ? VECTOR_SS : VECTOR_GP, 0);
  }

  /** A callback's result as a handler's: an exception becomes the machine's. */
  #result(rc: number): number {
    if (rc !== X86EMUL_PROPAGATE_FAULT) return rc;
    return this.m.raise(this.#ops.faultVector, this.#ops.faultCode);
  }

  /** `read_emulated()`: bytes come from the cache if this execution has read them before. Returns the place, or -1. */
  #readEmulated(n: number): number {
    let rc = X86EMUL_CONTINUE;
    if (this.#readPos >= this.#readEnd) {
      if (this.#readEnd + n > READ_CACHE_SIZE) rc = X86EMUL_UNHANDLEABLE;
      else rc = this.#ops.readEmulated(this.#linear, n);
      if (rc === X86EMUL_CONTINUE) {
        for (let k = 0; k < n; k++) this.#read[this.#readEnd + k] = this.#ops.buf[k]!;
        this.#readEnd += n;
      }
    }
    return this.#result(rc);
  }

  load(seg: number, off: number, n: number): number {
    const stop = this.linearize(seg, off, n) || this.#readEmulated(n);
    if (stop !== 0) return stop;
    this.#take(this.#read, this.#readPos, n);
    this.#readPos += n;
    return 0;
  }

  #take(from: Uint8Array, at: number, n: number): void {
    let lo = 0;
    let hi = 0;
    for (let k = 0; k < n; k++) {
      if (k < 4) lo |= from[at + k]! << (8 * k);
      else hi |= from[at + k]! << (8 * k - 32);
    }
    this.m.lo = lo;
    this.m.hi = hi;
  }

  loadBytes(seg: number, off: number, n: number): number {
    // FXRSTOR's image is longer than one callback takes.
    for (let at = 0; at < n; at += 64) {
      const part = Math.min(64, n - at);
      const stop = this.linearize(seg, off + at, part) || this.#readEmulated(part);
      if (stop !== 0) return stop;
      for (let k = 0; k < part; k++) this.m.buf[at + k] = this.#read[this.#readPos + k]!;
      this.#readPos += part;
    }
    return 0;
  }

  /** linear_read_system(): never a device. */
  loadLinear(linear: number, n: number): number {
    const rc = this.#ops.readStd(linear, n, true);
    if (rc === X86EMUL_CONTINUE) this.#take(this.#ops.buf, 0, n);
    return this.#result(rc);
  }

  /** linear_write_system(): where that is no memory, the guest tries for ever. */
  storeLinear(linear: number, n: number, lo: number, hi: number): number {
    this.#fill(this.#ops.buf, n, lo, hi);
    return this.#result(this.#ops.writeStd(linear, n, true));
  }

  /** segmented_read_std(). */
  loadStd(seg: number, off: number, n: number): number {
    const stop = this.linearize(seg, off, n);
    if (stop !== 0) return stop;
    const rc = this.#ops.readStd(this.#linear, n, false);
    if (rc === X86EMUL_CONTINUE) for (let k = 0; k < n; k++) this.m.buf[k] = this.#ops.buf[k]!;
    return this.#result(rc);
  }

  #fill(into: Uint8Array, n: number, lo: number, hi: number): void {
    for (let k = 0; k < n; k++) into[k] = k < 4 ? lo >>> (8 * k) : hi >>> (8 * k - 32);
  }

  store(seg: number, off: number, n: number, lo: number, hi: number): number {
    const stop = this.linearize(seg, off, n, true);
    if (stop !== 0) return stop;
    this.#fill(this.#ops.buf, n, lo, hi);
    return this.#result(this.#ops.writeEmulated(this.#linear, n));
  }

  storeLocked(seg: number, off: number, n: number, lo: number, hi: number): number {
    const stop = this.linearize(seg, off, n, true);
    if (stop !== 0) return stop;
    this.#fill(this.#ops.old, n, this.m.dLo, this.m.dHi);
    this.#fill(this.#ops.buf, n, lo, hi);
    return this.#result(this.#ops.cmpxchgEmulated(this.#linear, n));
  }

  storeBytes(seg: number, off: number, n: number): number {
    const stop = this.linearize(seg, off, n, true);
    if (stop !== 0) return stop;
    for (let k = 0; k < n; k++) this.#ops.buf[k] = this.m.buf[k]!;
    return this.#result(this.#ops.writeEmulated(this.#linear, n));
  }

  storeStd(seg: number, off: number, n: number): number {
    for (let at = 0; at < n; at += 64) {
      const part = Math.min(64, n - at);
      const stop = this.linearize(seg, off + at, part, true);
      if (stop !== 0) return stop;
      for (let k = 0; k < part; k++) this.#ops.buf[k] = this.m.buf[at + k]!;
      const rc = this.#ops.writeStd(this.#linear, part, false);
      if (rc !== X86EMUL_CONTINUE) return this.#result(rc);
    }
    return 0;
  }

  portIn(port: number, size: number): number {
    if (this.#ops.pioIn(size, port, 1) === 0) return X86EMUL_IO_NEEDED;
    this.#take(this.#ops.buf, 0, size);
    return 0;
  }

  /** What `out` answers does not matter to the instruction. */
  portOut(port: number, size: number, value: number): number {
    this.#fill(this.#ops.buf, size, value, 0);
    this.#ops.pioOut(size, port, 1);
    return 0;
  }

  /** INS, `pio_in_emulated()`: reads ahead up to the end of the page, and with DF clear stores it in one piece. */
  stringIn(i: Insn): number {
    const m = this.m;
    const size = i.opSize;
    const repeated = i.rep !== 0;
    const down = (m.otherFlags & DF) !== 0;
    if (this.pioPos === this.pioEnd) {
      const at = m.regAddress(RDI, i.addrSize) % PAGE;
      const room = down ? at : PAGE - at;
      const wanted = repeated ? m.regAddress(RCX, i.addrSize) : 1;
      const most = Math.min(READ_CACHE_SIZE, this.#ops.buf.length);
      const n = Math.max(1, Math.floor(Math.min(room, most / size, wanted)));
      this.resetPio();
      if (this.#ops.pioIn(size, m.gpr[2 * RDX]! & 0xffff, n) === 0) return X86EMUL_IO_NEEDED;
      this.#pio.set(this.#ops.buf.subarray(0, n * size));
      this.pioEnd = n * size;
    }
    const bytes = repeated && !down ? this.pioEnd - this.pioPos : size;
    for (let k = 0; k < bytes; k++) m.buf[k] = this.#pio[this.pioPos + k]!;
    this.pioPos += bytes;
    this.count = bytes / size;
    const stop = this.storeBytes(ES, m.regAddress(RDI, i.addrSize), bytes);
    if (stop === 0) advance(m, i, RDI, this.count);
    return stop;
  }

  stringOut(i: Insn): number {
    const m = this.m;
    const stop = this.load(i.seg, m.regAddress(RSI, i.addrSize), i.opSize);
    if (stop !== 0) return stop;
    this.portOut(m.gpr[2 * RDX]! & 0xffff, i.opSize, m.lo);
    advance(m, i, RSI, 1);
    return 0;
  }

  halt(): number {
    this.#ops.halt();
    return 0;
  }
}
