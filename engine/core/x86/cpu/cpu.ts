/**
 * The guest's processor: fetches, decodes once, executes. What was recorded had QEMU's processor underneath, so
 * where the manual leaves room, this does what QEMU does.
 */

import { deliverInterrupt } from '../exec/system/exec-interrupt.ts';
import { CPU_EXIT_BUDGET, CPU_EXIT_SHUTDOWN, CPU_EXIT_UD, CPU_OK, type CpuBus } from '../ports.ts';
import { Processor } from '../processor.ts';
import { EXCEPTION, VECTOR_DF, VECTOR_PF, VECTOR_UD } from '../processor-port.ts';
import { RAX, type Regs } from '../regs.ts';
import { CpuPort, type PortAccess } from './cpu-memory.ts';
import { HotLoop } from './hot-loop.ts';

/** Instructions between two looks at the budget: within a page, only they are counted. */
const AT_ONCE = 2 ** 16;

export class Cpu {
  readonly regs: Regs;
  readonly #port: CpuPort;
  readonly #m: Processor;
  readonly #loop: HotLoop;
  /** What the `in` or `out` of the last CPU_EXIT_IO wants. */
  readonly io: PortAccess;
  constructor(regs: Regs, bus: CpuBus) {
    this.regs = regs;
    this.#port = new CpuPort(bus);
    this.#m = new Processor(regs, this.#port);
    this.#port.m = this.#m;
    this.#loop = new HotLoop(regs, bus, this.#port, this.#m);
    this.io = this.#port.io;
  }

  /** Instructions retired so far; each element of a repeated string instruction counts. */
  get instructions(): number {
    return this.#loop.instructions;
  }

  /**
   * How often the guest wrote to the page of code it was executing. A guest that ran away through zeros does
   * little else, and a processor that translates code is thousands of times slower at it.
   */
  get codeWrites(): number {
    return this.#loop.codeWrites;
  }

  /**
   * What this core did beside the instructions, in instructions: code that it had decoded and had to decode again, for the
   * guest writes to it or it lies badly. A bound that does not count it is none.
   */
  get work(): number {
    return this.#loop.cache.work;
  }

  /**
   * Runs up to `budget` instructions, or what costs as much, and says why it stopped, CPU_EXIT_*. After CPU_EXIT_NPF, _IO and _UD rip is
   * at the instruction, which has left no trace but the parts of a wide store that were done; after _HLT behind it.
   */
  run(budget: number): number {
    const m = this.#m;
    const loop = this.#loop;
    loop.begin();
    let exit = CPU_OK;
    const end = loop.instructions + loop.cache.work + budget;
    while (exit === CPU_OK) {
      const left = end - loop.instructions - loop.cache.work;
      exit = left <= 0 ? CPU_EXIT_BUDGET : this.#settle(loop.runPage(Math.min(left, AT_ONCE)));
    }
    this.regs.eflags = m.getFlags();
    return exit;
  }

  /**
   * Injects an exception (error code -1: has none): CPU_OK with the handler's address in rip, or CPU_EXIT_SHUTDOWN,
   * _NPF or _UNSUPPORTED.
   */
  deliver(vector: number, errorCode: number): number {
    this.#m.setFlags(this.regs.eflags);
    const exit = this.#vectorTo(vector, errorCode);
    this.regs.eflags = this.#m.getFlags();
    return exit;
  }

  /** What an `in` of `size` bytes has brought, into AL, AX or EAX. */
  setAx(size: number, value: number): void {
    this.#m.setReg(RAX, size, value, 0);
  }

  /** Moves rip over the instruction of the last CPU_EXIT_IO. */
  advance(): void {
    this.regs.rip = this.#m.maskRip(this.regs.rip + this.#loop.lastLength, this.regs.codeSize);
    this.#loop.instructions++;
  }

  /** Turns the reason why a page's run ended into an exit, or into CPU_OK when the guest goes on. */
  #settle(status: number): number {
    if (status !== EXCEPTION) return status;
    const m = this.#m;
    if (m.vector === VECTOR_UD) return CPU_EXIT_UD;
    // A delivered exception uses up budget, for a handler may do nothing but fault again.
    this.#loop.instructions++;
    return this.#vectorTo(m.vector, m.errorCode);
  }

  /**
   * Delivers an exception. One that is raised on the way takes its place or makes a double fault of both, and one
   * more on top of that shuts the processor down (`check_exception()` of QEMU).
   */
  #vectorTo(first: number, firstCode: number): number {
    const m = this.#m;
    let vector = first;
    let errorCode = firstCode;
    for (;;) {
      const stop = deliverInterrupt(m, {
        vector,
        software: false,
        errorCode: pushesCode(vector) ? Math.max(0, errorCode) : -1,
        back: this.regs.rip,
      });
      if (stop === 0) this.regs.rip = m.nextRip;
      if (stop !== EXCEPTION) return stop;
      if (vector === VECTOR_DF) return CPU_EXIT_SHUTDOWN;
      const double = becomesDouble(vector, m.vector);
      vector = double ? VECTOR_DF : m.vector;
      errorCode = double ? 0 : m.errorCode;
    }
  }
}

const isContributory = (vector: number): boolean => vector === 0 || (vector >= 10 && vector <= 13);

/** Does `second`, raised while `first` was being delivered, make a double fault? */
const becomesDouble = (first: number, second: number): boolean =>
  isContributory(second)
    ? isContributory(first) || first === VECTOR_PF
    : second === VECTOR_PF && first === VECTOR_PF;

/** #DF, #TS to #PF and #AC come with an error code. */
const pushesCode = (vector: number): boolean =>
  vector === 8 || (vector >= 10 && vector <= 14) || vector === 17;
