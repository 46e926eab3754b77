/** The stack of an inner privilege level, as gates find it in the task-state segment. */
import type { Processor } from '../../processor.ts';
import { VECTOR_SS, VECTOR_TS } from '../../processor-port.ts';
import { EFER_LMA, isCanonical, linearOf, RSP, SEG_BIG, SEG_PRESENT, SS, TR } from '../../regs.ts';
import { attributesOf, baseOf, isNull, isStack, readDescriptor, setNull, setSegment } from './segments.ts';

/** Two words as one number, signed. */
export const number64 = (lo: number, hi: number): number => hi * 4294967296 + (lo >>> 0);

/** The upper word of a number. */
export const high = (v: number): number => Math.floor(v / 4294967296) | 0;

/** The stack of an inner level, from the task-state segment; pushes go there before it is in use. */
export class InnerStack {
  #sp = 0;
  #selector = 0;
  #dpl = 0;
  #lo = 0;
  #hi = 0;
  #long = false;

  /** Looks it up for level `dpl`; `ist` is an interrupt stack of long mode, or 0. */
  find(m: Processor, dpl: number, ist: number): number {
    const { regs } = m;
    this.#dpl = dpl;
    this.#long = (regs.efer & EFER_LMA) !== 0;
    const at = regs.segBase[TR]!;
    if (this.#long) {
      const index = ist > 0 ? 28 + 8 * ist : 4 + 8 * dpl;
      if (index + 7 > regs.segLimit[TR]!) return m.raise(VECTOR_TS, regs.segSel[TR]! & 0xfffc);
      const stop = m.port.loadLinear(at + index, 8);
      this.#sp = number64(m.lo, m.hi);
      this.#selector = dpl;
      if (stop === 0 && !isCanonical(this.#sp)) return m.raise(VECTOR_SS, 0);
      this.#sp -= this.#sp & 15;
      return stop;
    }
    const wide = (regs.segAttr[TR]! & 8) !== 0;
    const index = wide ? 4 + 8 * dpl : 2 + 4 * dpl;
    if (index + (wide ? 5 : 3) > regs.segLimit[TR]!) return m.raise(VECTOR_TS, regs.segSel[TR]! & 0xfffc);
    let stop = m.port.loadLinear(at + index, wide ? 4 : 2);
    this.#sp = m.lo >>> 0;
    if (stop === 0) stop = m.port.loadLinear(at + index + (wide ? 4 : 2), 2);
    this.#selector = m.lo & 0xffff;
    return stop !== 0 ? stop : this.#check(m);
  }

  #check(m: Processor): number {
    const code = this.#selector & 0xfffc;
    if (isNull(this.#selector) || (this.#selector & 3) !== this.#dpl) return m.raise(VECTOR_TS, code);
    const stop = readDescriptor(m, this.#selector);
    if (stop !== 0) return stop;
    const attr = attributesOf(m.descHi);
    if (!isStack(attr, this.#dpl, this.#dpl)) return m.raise(VECTOR_TS, code);
    if ((attr & SEG_PRESENT) === 0) return m.raise(VECTOR_TS, code);
    this.#lo = m.descLo;
    this.#hi = m.descHi;
    return 0;
  }

  /** Pushes one value of `size` bytes. */
  push(m: Processor, size: number, value: number): number {
    let at = this.#sp - size;
    if (!this.#long) {
      const wide = (attributesOf(this.#hi) & SEG_BIG) !== 0;
      at = wide ? at >>> 0 : at & 0xffff;
    }
    const linear = this.#long ? linearOf(at) : (baseOf(this.#lo, this.#hi) + at) >>> 0;
    const stop = m.port.storeLinear(linear, size, value | 0, high(value));
    if (stop === 0) this.#sp = at;
    return stop;
  }

  /** The stack is in use from now on. */
  use(m: Processor): void {
    if (this.#long) setNull(m, SS, this.#selector);
    else {
      m.descLo = this.#lo;
      m.descHi = this.#hi;
      setSegment(m, SS, this.#selector);
    }
    m.setAddress(RSP, this.#long ? 8 : attributesOf(this.#hi) & SEG_BIG ? 4 : 2, this.#sp);
  }
}
