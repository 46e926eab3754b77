/**
 * What an instruction works on: registers, flags, and a port to memory. The guest CPU has one machine whose
 * port is the processor's way to memory; KVM's emulator has another whose port is `x86_emulate_ops`.
 * Values are int32 pairs (`lo`, `hi`); 8- and 16-bit values are zero-extended in `lo`.
 */
import { BASE_RIP, type Insn, K_IMM, K_MEM, K_REG } from './insn/insn.ts';
import { EXCEPTION, type ProcessorPort } from './processor-port.ts';
import { AF, CF, MODE_LONG64, OF, PF, type Regs, RSP, SF, STATUS_FLAGS, ZF } from './regs.ts';

/** What REP INS stores at once; an XSAVE image is shorter. */
const BUFFER_SIZE = 1024;

export class Processor {
  readonly regs: Regs;
  /** The general registers worked on: `regs.gpr`, or the emulator's copy of them. */
  gpr: Int32Array;
  readonly port: ProcessorPort;
  /** Offset of the next instruction; handlers that branch set it. */
  nextRip = 0;
  /** Result or operand of the port and of the arithmetic unit. */
  lo = 0;
  hi = 0;
  /** Source operand. */
  sLo = 0;
  sHi = 0;
  /** Destination operand as read. */
  dLo = 0;
  dHi = 0;
  /** Offset of the memory operand, after `ea()`. */
  off = 0;
  vector = 0;
  /** Why the last access of a handler that makes several was refused; 0 if it was not. */
  stopped = 0;
  errorCode = -1;
  /** The descriptor read last: its two words and its address (exec/system/segments.ts). */
  descLo = 0;
  descHi = 0;
  descAt = 0;
  /** Instructions retired; the deterministic time of RDTSC. */
  retired = 0;
  /** Bytes of vector and x87 operands, and the same as int32. */
  readonly buf = new Uint8Array(BUFFER_SIZE);
  readonly words = new Int32Array(this.buf.buffer);
  readonly view = new DataView(this.buf.buffer);

  // Status flags, unassembled. `cf` is 0 or 1, OF is the sign of `of`, ZF is `fz === 0`, SF is the sign of
  // `fs`, PF is the parity of the low byte of `fp`, AF is bit 4 of `fa`. All others are in `otherFlags`.
  cf = 0;
  of = 0;
  fz = 1;
  fs = 0;
  fp = 1;
  fa = 0;
  otherFlags = 2;
  /**
   * QEMU keeps flags as the last operation's operands until a block of code ends, and its bit tests leave traces
   * of that: see `bitTestOverflow()`. Width in bits of that operation; 0 when the flags are assembled.
   */
  fw = 0;
  // The same, as they were before the instruction began: see saveFlags().
  #cf = 0;
  #of = 0;
  #fz = 0;
  #fs = 0;
  #fp = 0;
  #fa = 0;

  constructor(regs: Regs, port: ProcessorPort) {
    this.regs = regs;
    this.gpr = regs.gpr;
    this.port = port;
  }

  /** Remembers the status flags, so that a refused access leaves no trace. */
  saveFlags(): void {
    this.#cf = this.cf;
    this.#of = this.of;
    this.#fz = this.fz;
    this.#fs = this.fs;
    this.#fp = this.fp;
    this.#fa = this.fa;
  }

  restoreFlags(): void {
    this.cf = this.#cf;
    this.of = this.#of;
    this.fz = this.#fz;
    this.fs = this.#fs;
    this.fp = this.#fp;
    this.fa = this.#fa;
  }

  /** EFLAGS, assembled. */
  getFlags(): number {
    let f = this.otherFlags | this.cf | (this.fa & AF);
    if (this.of < 0) f |= OF;
    if (this.fz === 0) f |= ZF;
    if (this.fs < 0) f |= SF;
    if ((0x9669 >>> ((this.fp ^ (this.fp >>> 4)) & 15)) & 1) f |= PF;
    return f;
  }

  setFlags(flags: number): void {
    this.cf = flags & CF;
    this.of = flags & OF ? -1 : 0;
    this.fz = flags & ZF ? 0 : 1;
    this.fs = flags & SF ? -1 : 0;
    this.fp = flags & PF ? 0 : 1;
    this.fa = flags & AF;
    this.fw = 0;
    this.otherFlags = (flags & ~STATUS_FLAGS) | 2;
  }

  /** Is condition code `cc` (0 to 15, as encoded) true? */
  test(cc: number): boolean {
    let t = false;
    switch (cc >> 1) {
      case 0:
        t = this.of < 0;
        break;
      case 1:
        t = this.cf !== 0;
        break;
      case 2:
        t = this.fz === 0;
        break;
      case 3:
        t = this.cf !== 0 || this.fz === 0;
        break;
      case 4:
        t = this.fs < 0;
        break;
      case 5:
        t = ((0x9669 >>> ((this.fp ^ (this.fp >>> 4)) & 15)) & 1) !== 0;
        break;
      case 6:
        t = (this.fs ^ this.of) < 0;
        break;
      case 7:
        t = (this.fs ^ this.of) < 0 || this.fz === 0;
        break;
    }
    return (cc & 1) === 0 ? t : !t;
  }

  /** A general register's value into `lo` and `hi`. */
  getReg(r: number, size: number): void {
    this.hi = 0;
    if (size === 4) this.lo = this.gpr[2 * r]!;
    else if (size === 1) this.lo = r < 16 ? this.gpr[2 * r]! & 0xff : (this.gpr[2 * (r - 16)]! >>> 8) & 0xff;
    else if (size === 2) this.lo = this.gpr[2 * r]! & 0xffff;
    else {
      this.lo = this.gpr[2 * r]!;
      this.hi = this.gpr[2 * r + 1]!;
    }
  }

  /** Writes a general register: 32-bit writes clear the high half, smaller ones keep the rest. */
  setReg(r: number, size: number, lo: number, hi: number): void {
    const gpr = this.gpr;
    if (size === 4) {
      gpr[2 * r] = lo;
      gpr[2 * r + 1] = 0;
    } else if (size === 1) {
      if (r < 16) gpr[2 * r] = (gpr[2 * r]! & ~0xff) | (lo & 0xff);
      else gpr[2 * (r - 16)] = (gpr[2 * (r - 16)]! & ~0xff00) | ((lo & 0xff) << 8);
    } else if (size === 2) gpr[2 * r] = (gpr[2 * r]! & ~0xffff) | (lo & 0xffff);
    else {
      gpr[2 * r] = lo;
      gpr[2 * r + 1] = hi;
    }
  }

  /** A register as an address of `size` bytes: non-negative below 2^53, or negative in the upper half. */
  regAddress(r: number, size: number): number {
    const lo = this.gpr[2 * r]!;
    if (size === 2) return lo & 0xffff;
    if (size === 4) return lo >>> 0;
    return this.gpr[2 * r + 1]! * 4294967296 + (lo >>> 0);
  }

  /** Writes back an address register after it moved; keeps what an address of that size does not cover. */
  setAddress(r: number, size: number, value: number): void {
    if (size === 8) this.setReg(r, 8, value | 0, Math.floor(value / 4294967296) | 0);
    else this.setReg(r, size, value | 0, 0);
  }

  /** Effective address of the memory operand, into `off`: cut to the address size, signed for 64 bits. */
  ea(i: Insn): number {
    const gpr = this.gpr;
    let lo = i.disp;
    if (i.addrSize !== 8) {
      if (i.base === BASE_RIP) lo = (lo + this.nextRip) | 0;
      else if (i.base >= 0) lo = (lo + gpr[2 * i.base]!) | 0;
      if (i.index >= 0) lo = (lo + (gpr[2 * i.index]! << i.scale)) | 0;
      this.off = i.addrSize === 2 ? lo & 0xffff : lo >>> 0;
    } else this.off = this.#ea64(i);
    return this.off;
  }

  #ea64(i: Insn): number {
    const gpr = this.gpr;
    let lo = i.disp >>> 0;
    let hi = i.dispHi;
    if (i.base === BASE_RIP) {
      lo += this.nextRip >>> 0;
      hi += Math.floor(this.nextRip / 4294967296);
    } else if (i.base >= 0) {
      lo += gpr[2 * i.base]! >>> 0;
      hi += gpr[2 * i.base + 1]!;
    }
    if (i.index >= 0) {
      const s = i.scale;
      const x = gpr[2 * i.index]!;
      lo += (x << s) >>> 0;
      hi += (gpr[2 * i.index + 1]! << s) | (s === 0 ? 0 : x >>> (32 - s));
    }
    // Three 32-bit terms: the carry is 0, 1 or 2.
    hi = (hi + Math.floor(lo / 4294967296)) | 0;
    return hi * 4294967296 + (lo >>> 0);
  }

  /** The stack pointer's size in bytes. */
  stackSize(): number {
    return this.regs.stackSize;
  }

  /** RSP moved by `delta`, as an offset; RSP itself is not changed. */
  stackAt(delta: number): number {
    const size = this.stackSize();
    const sp = this.regAddress(RSP, size) + delta;
    return size === 8 ? sp : size === 4 ? sp >>> 0 : sp & 0xffff;
  }

  /** An instruction offset cut to what the mode, and the operand size, can hold. */
  maskRip(rip: number, opSize: number): number {
    if (this.regs.mode === MODE_LONG64) return rip;
    return opSize === 2 ? rip & 0xffff : rip >>> 0;
  }

  /** Reads operand 0 or 1 of `size` bytes into `lo` and `hi`; 0, or why not. */
  read(i: Insn, kind: number, reg: number, size: number): number {
    if (kind === K_REG) this.getReg(reg, size);
    else if (kind === K_MEM) return this.port.load(i.seg, this.ea(i), size);
    else if (kind === K_IMM) {
      this.lo = size === 1 ? i.imm & 0xff : size === 2 ? i.imm & 0xffff : i.imm;
      this.hi = size === 8 ? i.immHi : 0;
    }
    return 0;
  }

  /** Reads source and destination, in the order of x86_emulate_insn(): `sLo`, `sHi`, `dLo`, `dHi`. */
  readBoth(i: Insn): number {
    const stop = this.read(i, i.k1, i.r1, i.size);
    if (stop !== 0) return stop;
    this.sLo = this.lo;
    this.sHi = this.hi;
    return this.readDst(i);
  }

  /** Reads operand 0 into `dLo`, `dHi`. */
  readDst(i: Insn): number {
    const stop = this.read(i, i.k0, i.r0, i.size);
    if (stop !== 0) return stop;
    this.dLo = this.lo;
    this.dHi = this.hi;
    return 0;
  }

  /** Writes `lo`, `hi` to operand 0. A locked store compares with `dLo`, `dHi`; `off` is as `ea()` left it. */
  writeDst(i: Insn): number {
    if (i.k0 === K_REG) {
      this.setReg(i.r0, i.size, this.lo, this.hi);
      return 0;
    }
    if (i.locked) return this.port.storeLocked(i.seg, this.off, i.size, this.lo, this.hi);
    return this.port.store(i.seg, this.off, i.size, this.lo, this.hi);
  }

  /** Raises an exception; -1 is "no error code". */
  raise(vector: number, errorCode: number): number {
    this.vector = vector;
    this.errorCode = errorCode;
    return EXCEPTION;
  }
}
