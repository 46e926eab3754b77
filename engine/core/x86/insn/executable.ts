/** A decoded instruction with what executes it; beside the bare one, which the processor it runs on knows. */
import type { Processor } from '../processor.ts';
import { Insn } from './insn.ts';

/** What executes one instruction on a machine: 0, or the reason why nothing (more) of it was done. */
export type Exec = (m: Processor, i: Insn) => number;

/** An instruction that can be executed. */
export class Executable extends Insn {
  /** Executes it; for undefined opcodes, raises #UD. */
  exec: Exec;

  constructor(exec: Exec) {
    super();
    this.exec = exec;
  }
}
