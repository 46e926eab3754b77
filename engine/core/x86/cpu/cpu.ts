/**
 * The guest's processor: fetches, decodes once, executes. What was recorded had QEMU's processor underneath, so
 * where the manual leaves room, this does what QEMU does.
 */

import { realModeInterrupt } from '../exec/system/exec-control.ts';
import {
  CPU_EXIT_BUDGET,
  CPU_EXIT_NPF,
  CPU_EXIT_SHUTDOWN,
  CPU_EXIT_UD,
  CPU_OK,
  type CpuBus,
} from '../ports.ts';
import { Processor } from '../processor.ts';
import { EXCEPTION, VECTOR_UD } from '../processor-port.ts';
import { MODE_LONG64, MODE_REAL16, type Regs } from '../regs.ts';
import { CpuPort, type PortAccess } from './cpu-memory.ts';
import { HotLoop } from './hot-loop.ts';

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
   * Runs up to `budget` instructions and says why it stopped, CPU_EXIT_*. After CPU_EXIT_NPF, _IO and _UD rip is
   * at the instruction, which has left no trace but the parts of a wide store that were done; after _HLT behind it.
   */
  run(budget: number): number {
    const m = this.#m;
    const loop = this.#loop;
    loop.begin();
    let exit = CPU_OK;
    const end = loop.instructions + budget;
    while (exit === CPU_OK) {
      if (loop.instructions >= end) exit = CPU_EXIT_BUDGET;
      else exit = this.#settle(loop.runPage(end - loop.instructions));
    }
    this.regs.eflags = m.getFlags();
    return exit;
  }

  /**
   * Injects an exception: CPU_OK with the handler's address in rip, or CPU_EXIT_SHUTDOWN or CPU_EXIT_NPF.
   * Nobody gets to see the error code: real mode pushes none, and elsewhere there is no handler.
   */
  deliver(vector: number, _errorCode: number): number {
    this.#m.setFlags(this.regs.eflags);
    const exit = this.#vectorTo(vector);
    this.regs.eflags = this.#m.getFlags();
    return exit;
  }

  /** Moves rip over the instruction of the last CPU_EXIT_IO. */
  advance(): void {
    this.regs.rip = this.#m.maskRip(
      this.regs.rip + this.#loop.lastLength,
      this.regs.mode === MODE_REAL16 ? 2 : 4,
    );
    this.#loop.instructions++;
  }

  /** Turns the reason why a page's run ended into an exit, or into CPU_OK when the guest goes on. */
  #settle(status: number): number {
    if (status !== EXCEPTION) return status;
    const m = this.#m;
    if (m.vector === VECTOR_UD) return CPU_EXIT_UD;
    // A delivered exception uses up budget, for a handler may do nothing but fault again.
    this.#loop.instructions++;
    return this.#vectorTo(m.vector);
  }

  /**
   * Real mode goes through the vector table at 0. Elsewhere the gate is read at IDT base 0; guests here have
   * none, and a present gate is not followed either: both end as a triple fault.
   */
  #vectorTo(vector: number): number {
    const m = this.#m;
    if (this.regs.mode === MODE_REAL16) {
      const stop = realModeInterrupt(m, vector, this.regs.rip);
      if (stop === 0) this.regs.rip = m.nextRip;
      return stop === EXCEPTION ? CPU_EXIT_SHUTDOWN : stop;
    }
    const gate = vector * (this.regs.mode === MODE_LONG64 ? 16 : 8);
    const stop = this.#port.loadLinear(gate, 8);
    return stop === CPU_EXIT_NPF ? stop : CPU_EXIT_SHUTDOWN;
  }
}
