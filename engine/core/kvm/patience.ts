/**
 * How an endless loop is found: by a budget, and by a guest that does not move at all. Both end KVM_RUN as a
 * signal would, with -EINTR.
 */
import type { Cpu } from '../x86/cpu/cpu.ts';
import { RCX, RDI, type Regs, RSI, RSP } from '../x86/regs.ts';

/** VM exits in a row after which a guest that has not moved is taken for one that never will. */
const STUCK_EXITS = 256;
/** What a VM exit weighs against the budget, in guest instructions of this core. */
const EXIT_WEIGHT = 64;
/**
 * What a store into the page being executed weighs beside the work it makes here: a translating processor, like the one
 * under the recorded kernels, throws away and makes again all it knows of that page.
 */
const CODE_WRITE_WEIGHT = 2048;

/** The patience of one KVM_RUN. */
export class Patience {
  readonly #cpu: Cpu;
  readonly #regs: Regs;
  readonly #budget: number;
  #left = 0;
  #instructions = 0;
  #codeWrites = 0;
  #work = 0;
  /** Where the guest was at the last look, and how many VM exits ago that was. */
  #place = -1;
  #stuck = 0;

  constructor(cpu: Cpu, regs: Regs, budget: number) {
    this.#cpu = cpu;
    this.#regs = regs;
    this.#budget = budget;
  }

  /** KVM_RUN begins. */
  begin(): void {
    this.#left = this.#budget;
    this.#stuck = 0;
    this.#instructions = this.#cpu.instructions;
    this.#codeWrites = this.#cpu.codeWrites;
    this.#work = this.#cpu.work;
  }

  /** Instructions the guest may run before somebody looks again. */
  get left(): number {
    return Math.max(1, this.#left);
  }

  /** A VM exit was handled and the guest is to go on: is there any point? */
  isOver(): boolean {
    const { instructions, codeWrites, work } = this.#cpu;
    this.#left -= instructions - this.#instructions + EXIT_WEIGHT;
    this.#left -= (codeWrites - this.#codeWrites) * CODE_WRITE_WEIGHT;
    this.#instructions = instructions;
    this.#left -= work - this.#work;
    this.#codeWrites = codeWrites;
    this.#work = work;
    return this.#left <= 0 || this.#isStuck();
  }

  /** Has the guest moved since the last VM exit? Registers that a string instruction advances count. */
  #isStuck(): boolean {
    const g = this.#regs.gpr;
    const strings = g[2 * RCX]! + g[2 * RSI]! * 3 + g[2 * RDI]! * 5 + g[2 * RSP]! * 7;
    const place = this.#instructions * 11 + this.#regs.rip * 13 + strings;
    if (place !== this.#place) {
      this.#place = place;
      this.#stuck = 0;
    }
    return ++this.#stuck > STUCK_EXITS;
  }
}
