/**
 * The part of the guest CPU where it spends its time: a page of decoded instructions, the shapes that loops are
 * made of executed in place, everything else through its handler.
 */
import { add32, dec32, inc32, logic32, sub32 } from '../exec/integer/alu.ts';
import { comparisonEnds, repeatCount, setRepeatCount } from '../exec/integer/exec-string.ts';
import type { Executable } from '../insn/executable.ts';
import { CPU_EXIT_HLT, type CpuBus } from '../ports.ts';
import type { Processor } from '../processor.ts';
import { EXCEPTION, VECTOR_GP } from '../processor-port.ts';
import { CS, isCanonical, linearOf, MODE_LONG64, MODE_REAL16, type Regs } from '../regs.ts';
import { CodeCache, type CodePage } from './code-cache.ts';
import type { CpuPort } from './cpu-memory.ts';

const PAGE_MASK = 4095;

export class HotLoop {
  readonly regs: Regs;
  readonly #bus: CpuBus;
  readonly #port: CpuPort;
  readonly #m: Processor;
  readonly cache: CodeCache;
  /** Instructions retired; each element of a repeated string instruction counts. */
  instructions = 0;
  /** Writes of the guest to the page of code it was executing. */
  codeWrites = 0;
  /** Length of the instruction that went through its handler last. */
  lastLength = 0;
  /** The page executed last. */
  #page: CodePage | undefined = undefined;

  constructor(regs: Regs, bus: CpuBus, port: CpuPort, m: Processor) {
    this.regs = regs;
    this.#bus = bus;
    this.#port = port;
    this.#m = m;
    this.cache = new CodeCache(bus);
  }

  /** Before a run: the registers may have been changed from outside. */
  begin(): void {
    this.#m.setFlags(this.regs.eflags);
    this.#m.retired = this.instructions;
  }

  /** Runs until the page is left, `left` instructions are done, or something stops: 0 or the reason. */
  runPage(left: number): number {
    const regs = this.regs;
    const csBase = regs.mode === MODE_LONG64 ? 0 : regs.segBase[CS]!;
    let linear = csBase + regs.rip;
    if (regs.mode === MODE_LONG64) {
      if (!isCanonical(regs.rip)) return this.#m.raise(VECTOR_GP, 0);
      linear = linearOf(regs.rip);
    } else if (regs.mode !== MODE_REAL16) linear = linear >>> 0;
    this.#port.flat = regs.flat;
    const page = this.cache.enter(linear, regs.mode);
    if (page === undefined) return this.#port.refused();
    if (page !== this.#page) this.#m.fw = 0;
    this.#page = page;
    return this.#execute(page, linear, left);
  }

  /** Writes rip back at page offset `off`, and counts. */
  #leave(ripBase: number, off: number, done: number): void {
    this.regs.rip = this.#m.maskRip(ripBase + off, this.regs.codeSize);
    this.instructions += done;
    this.#m.retired = this.instructions;
  }

  /** A load shape of the hot loop: 0, or why not. */
  #hotLoad(i: Executable): number {
    const at = this.#port.address(i);
    if (at < 0) return EXCEPTION;
    const m = this.#m;
    const bus = this.#bus;
    const gpr = this.regs.gpr;
    const v = i.fast === 5 ? bus.read8(at) : bus.read32(at) | 0;
    if (bus.stop !== 0) return this.#port.refused();
    if (i.fast === 5) m.setReg(i.r0, 1, v, 0);
    else if (i.fast === 23) sub32(m, gpr[2 * i.r0]!, v);
    else {
      gpr[2 * i.r0] = i.fast === 3 ? v : add32(m, gpr[2 * i.r0]!, v);
      gpr[2 * i.r0 + 1] = 0;
    }
    return 0;
  }

  /** A store shape of the hot loop: 0, or why not. */
  #hotStore(i: Executable): number {
    const at = this.#port.address(i);
    if (at < 0) return EXCEPTION;
    const bus = this.#bus;
    const gpr = this.regs.gpr;
    if (i.fast === 4) bus.write32(at, gpr[2 * i.r1]!);
    else if (i.fast === 28) bus.write32(at, i.imm);
    else if (i.fast === 29) bus.write8(at, i.imm & 0xff);
    else bus.write8(at, i.r1 < 16 ? gpr[2 * i.r1]! & 0xff : (gpr[2 * (i.r1 - 16)]! >>> 8) & 0xff);
    return bus.stop === 0 ? 0 : this.#port.refused();
  }

  /**
   * The hot loop. Case labels are the FAST_* numbers of fast.ts; those that break leave a 32-bit result in `v`
   * for register operand 0.
   */
  #execute(page: CodePage, linear: number, budget: number): number {
    const m = this.#m;
    const bus = this.#bus;
    const gpr = this.regs.gpr;
    const insns = page.insns;
    const version = page.version;
    let off = linear % 4096;
    const ripBase = this.regs.rip - off;
    let left = budget;
    // What `left` was when instructions were last counted.
    let counted = budget;
    while ((off & ~PAGE_MASK) === 0 && left > 0) {
      const i = insns[off] ?? this.#decode(page, linear, off);
      if (i === undefined) {
        this.#leave(ripBase, off, counted - left);
        return this.#port.refused();
      }
      let v = 0;
      switch (i.fast) {
        case 1:
          v = gpr[2 * i.r1]!;
          break;
        case 2:
          v = i.imm;
          break;
        case 7:
          v = inc32(m, gpr[2 * i.r0]!);
          break;
        case 8:
          v = dec32(m, gpr[2 * i.r0]!);
          break;
        case 9:
          v = add32(m, gpr[2 * i.r0]!, gpr[2 * i.r1]!);
          break;
        case 10:
          v = add32(m, gpr[2 * i.r0]!, i.imm);
          break;
        case 11:
          v = sub32(m, gpr[2 * i.r0]!, gpr[2 * i.r1]!);
          break;
        case 12:
          v = sub32(m, gpr[2 * i.r0]!, i.imm);
          break;
        case 15:
          v = logic32(m, gpr[2 * i.r0]! & gpr[2 * i.r1]!);
          break;
        case 16:
          v = logic32(m, gpr[2 * i.r0]! & i.imm);
          break;
        case 17:
          v = logic32(m, gpr[2 * i.r0]! | gpr[2 * i.r1]!);
          break;
        case 18:
          v = logic32(m, gpr[2 * i.r0]! | i.imm);
          break;
        case 19:
          v = logic32(m, gpr[2 * i.r0]! ^ gpr[2 * i.r1]!);
          if (i.r0 === i.r1) m.fw = 0;
          break;
        case 20:
          v = logic32(m, gpr[2 * i.r0]! ^ i.imm);
          break;
        case 13:
          sub32(m, gpr[2 * i.r0]!, gpr[2 * i.r1]!);
          off += i.len;
          left--;
          continue;
        case 14:
          sub32(m, gpr[2 * i.r0]!, i.imm);
          off += i.len;
          left--;
          continue;
        case 21:
          logic32(m, gpr[2 * i.r0]! & gpr[2 * i.r1]!);
          off += i.len;
          left--;
          continue;
        case 24:
          off += m.test(i.cond) ? i.len + i.imm : i.len;
          m.fw = 0;
          left--;
          continue;
        case 25:
          off += m.fz !== 0 ? i.len + i.imm : i.len;
          m.fw = 0;
          left--;
          continue;
        case 26:
          off += i.len + i.imm;
          m.fw = 0;
          left--;
          continue;
        case 27:
          off += i.len;
          left--;
          continue;
        case 3:
        case 5:
        case 22:
        case 23: {
          m.nextRip = ripBase + off + i.len;
          const status = this.#hotLoad(i);
          if (status !== 0) {
            this.#leave(ripBase, off, counted - left);
            return status;
          }
          off += i.len;
          left--;
          continue;
        }
        case 4:
        case 6:
        case 28:
        case 29: {
          m.nextRip = ripBase + off + i.len;
          const status = this.#hotStore(i);
          if (status !== 0) {
            this.#leave(ripBase, off, counted - left);
            return status;
          }
          off += i.len;
          left--;
          if (bus.codeVersion(page.id) === version) continue;
          this.codeWrites++;
          this.#leave(ripBase, off, counted - left);
          return 0;
        }
        default: {
          this.#leave(ripBase, off, counted - left);
          const before = this.instructions;
          const { context } = this.regs;
          const status = this.#slow(i, left);
          if (bus.codeVersion(page.id) !== version) this.codeWrites++;
          else if (status === 0 && context === this.regs.context) {
            left -= this.instructions - before;
            counted = left;
            off = this.regs.rip - ripBase;
            continue;
          }
          return status;
        }
      }
      gpr[2 * i.r0] = v;
      gpr[2 * i.r0 + 1] = 0;
      off += i.len;
      left--;
    }
    this.#leave(ripBase, off, counted - left);
    return 0;
  }

  #decode(page: CodePage, linear: number, off: number): Executable | undefined {
    const at = linear - (linear % 4096) + off;
    const next = at - (at % 4096) + 4096;
    return this.cache.decodeAt(page, at, this.regs.mode === MODE_LONG64 ? next : next >>> 0);
  }

  /** One instruction through its handler, with rip in the registers. */
  #slow(i: Executable, left: number): number {
    const m = this.#m;
    const regs = this.regs;
    this.lastLength = i.len;
    m.nextRip = m.maskRip(regs.rip + i.len, regs.codeSize);
    if (i.string && i.rep !== 0) return this.#repeat(i, left);
    m.saveFlags();
    const status = i.exec(m, i);
    if (status === 0 || status === CPU_EXIT_HLT) {
      if (m.nextRip !== regs.rip + i.len) m.fw = 0;
      regs.rip = m.nextRip;
      this.instructions++;
    } else m.restoreFlags();
    return status;
  }

  /** A repeated string instruction: element by element, each of them complete before the next. */
  #repeat(i: Executable, left: number): number {
    const m = this.#m;
    let count = repeatCount(m, i);
    if (count === 0) this.instructions++;
    for (let n = 0; n < left; n++) {
      if (count === 0) break;
      m.saveFlags();
      const status = i.exec(m, i);
      if (status !== 0) {
        m.restoreFlags();
        return status;
      }
      this.instructions++;
      count--;
      setRepeatCount(m, i, count);
      if (comparisonEnds(m, i)) count = 0;
    }
    if (count === 0) this.regs.rip = m.nextRip;
    return 0;
  }
}
